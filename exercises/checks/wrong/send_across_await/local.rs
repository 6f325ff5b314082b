//! Fails: E0308

use std::sync::{Arc, Mutex};

use futures03::FutureExt as _;
use futures03::future::BoxFuture;

fn main() {}

/// Adds the length of `value` to `total`. The future is `Send`, so any executor can spawn it.
fn add_length(
    value: impl Future<Output = String> + Send + 'static,
    total: Arc<Mutex<usize>>,
) -> BoxFuture<'static, ()> {
    async move {
        let mut total = total.lock().unwrap();
        *total += value.await.len();
    }
    .boxed_local()
}
