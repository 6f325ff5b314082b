//! Fails: two_futures_can_wait_at_once: the number of replies that were counted

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::Future;
use kvs::KvsError;
use kvs::client::anon::KvsClient;

fn main() {}

/// Resolves to the value of `key`, and counts the reply in `answered`.
fn get_and_count(
    client: &mut KvsClient,
    key: &str,
    answered: &Arc<AtomicU64>,
) -> impl Future<Item = Option<String>, Error = KvsError> + Send + use<> {
    let answered = Arc::new(AtomicU64::new(answered.load(Ordering::Relaxed)));
    let get = client.get(key.to_owned());
    get.inspect(move |_| {
        answered.fetch_add(1, Ordering::Relaxed);
    })
}
