//! Fails: E0277

use futures03::future::{Either, select};

fn main() {}

async fn faster<T>(a: impl Future<Output = T> + Unpin, b: impl Future<Output = T> + Unpin) -> T {
    match select(a, b).await {
        Either::Left((output, _)) | Either::Right((output, _)) => output,
    }
}
