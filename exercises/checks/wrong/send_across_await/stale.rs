//! Fails: the_total_is_right_however_many_tasks_add_to_it: an addition was lost

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
        let before = *total.lock().unwrap();
        let after = before + value.await.len();
        *total.lock().unwrap() = after;
    }
    .boxed()
}
