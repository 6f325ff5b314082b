//! Fails: E0277

use std::pin::Pin;

use futures03::future::{Either, select};

fn main() {}

async fn faster<T>(mut a: impl Future<Output = T>, mut b: impl Future<Output = T>) -> T {
    match select(Pin::new(&mut a), Pin::new(&mut b)).await {
        Either::Left((output, _)) | Either::Right((output, _)) => output,
    }
}
