//! Fails: E0277

use std::cell::Cell;
use std::sync::Arc;
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
    let found = Arc::new(Cell::new(0));
    let gets: Vec<_> = keys
        .iter()
        .map(|key| {
            let found = Arc::clone(&found);
            client.get((*key).to_owned()).map(move |value| {
                if value.is_some() {
                    found.set(found.get() + 1);
                }
            })
        })
        .collect();
    future::join_all(gets).map(move |_| found.get())
}

/// Counts in a task of its own, and sends the number.
fn spawn_count(client: &mut KvsClient, keys: &[&str], sender: Sender<usize>) {
    let count = count(client, keys);
    let sent = count.map(move |count| sender.send(count).unwrap_or_default());
    tokio::spawn(sent.map_err(|error| eprintln!("{error}")));
}
