//! Fails: the_keys_that_exist_are_counted_in_a_task: the number of keys that exist among a, b and c

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Sender;

use futures::{Future, future};
use kvs::KvsError;
use kvs::client::anon::KvsClient;

fn main() {}

/// Resolves to the number of `keys` that exist.
fn count(
    client: &mut KvsClient,
    keys: &[&str],
) -> impl Future<Item = usize, Error = KvsError> + Send + use<> {
    let found = Arc::new(AtomicUsize::new(0));
    let gets: Vec<_> = keys
        .iter()
        .map(|key| {
            let found = Arc::clone(&found);
            client.get((*key).to_owned()).map(move |value| {
                if value.is_some() {
                    found.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let number = found.load(Ordering::Relaxed);
    future::join_all(gets).map(move |_| number)
}

/// Counts in a task of its own, and sends the number.
fn spawn_count(client: &mut KvsClient, keys: &[&str], sender: Sender<usize>) {
    let count = count(client, keys);
    let sent = count.map(move |count| sender.send(count).unwrap_or_default());
    tokio::spawn(sent.map_err(|error| eprintln!("{error}")));
}
