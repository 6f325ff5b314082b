//! Fails: E0700

use std::sync::atomic::{AtomicU64, Ordering};

use futures::Future;
use kvs::KvsError;
use kvs::client::anon::KvsClient;

fn main() {}

/// Resolves to the value of `key`, and counts the reply in `answered`.
fn get_and_count(
    client: &mut KvsClient,
    key: &str,
    answered: &AtomicU64,
) -> impl Future<Item = Option<String>, Error = KvsError> + Send + use<> {
    let get = client.get(key.to_owned());
    get.inspect(move |_| {
        answered.fetch_add(1, Ordering::Relaxed);
    })
}
