//! Fails: E0277

use std::sync::mpsc::Sender;

use futures::Future;
use kvs::KvsError;
use kvs::client::anon::KvsClient;

fn main() {}

/// Resolves to the value of `key`, or to an empty text.
fn text(client: &mut KvsClient, key: String) -> Box<dyn Future<Item = String, Error = KvsError>> {
    Box::new(client.get(key).map(Option::unwrap_or_default))
}

/// Resolves to the number of words in the value of `key`.
fn words(
    client: &mut KvsClient,
    key: String,
) -> Box<dyn Future<Item = usize, Error = KvsError> + Send> {
    Box::new(text(client, key).map(|text| text.split_whitespace().count()))
}

/// Counts the words in a task of its own, and sends their number.
fn spawn_words(client: &mut KvsClient, key: String, sender: Sender<usize>) {
    let words = words(client, key);
    let sent = words.map(move |words| sender.send(words).unwrap_or_default());
    tokio::spawn(sent.map_err(|error| eprintln!("{error}")));
}
