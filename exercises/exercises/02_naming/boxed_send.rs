// `text` and `words` compiled, and their author was content. You are the first who spawns such a
// future on a runtime with several threads, and the compiler refuses it. The chains in the boxes
// could move to another thread. The types of the boxes do not say so.
//
// Mend the types, so that the task in `spawn_words` can stay as it is. Read each error down to its
// notes: they say which box is meant.
// `docs/part-2-boxed.md`, "Why `Send` has to be said".

use std::sync::mpsc::Sender;

use futures::Future;
use kvs::KvsError;
use kvs::client::anon::KvsClient;

fn main() {}

// TODO: which promise do the types of these two boxes lack?

/// Resolves to the value of `key`, or to an empty text.
fn text(client: &mut KvsClient, key: String) -> Box<dyn Future<Item = String, Error = KvsError>> {
    Box::new(client.get(key).map(Option::unwrap_or_default))
}

/// Resolves to the number of words in the value of `key`.
fn words(client: &mut KvsClient, key: String) -> Box<dyn Future<Item = usize, Error = KvsError>> {
    Box::new(text(client, key).map(|text| text.split_whitespace().count()))
}

/// Counts the words in a task of its own, and sends their number.
fn spawn_words(client: &mut KvsClient, key: String, sender: Sender<usize>) {
    let words = words(client, key);
    let sent = words.map(move |words| sender.send(words).unwrap_or_default());
    tokio::spawn(sent.map_err(|error| eprintln!("{error}")));
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future;
    use std::sync::mpsc;
    use support::{serve, within_time};
    use tokio::runtime::Runtime;

    #[test]
    fn the_words_are_counted_in_a_task() {
        within_time(|| {
            let (_dir, server) = serve();
            let mut runtime = Runtime::new().unwrap();
            let mut client = runtime.block_on(KvsClient::connect(server.addr)).unwrap();
            let set = client.set("key".to_owned(), "four words in all".to_owned());
            runtime.block_on(set).unwrap();
            let (sender, words) = mpsc::channel();
            let spawned = future::lazy(move || {
                spawn_words(&mut client, "key".to_owned(), sender);
                Ok::<_, ()>(())
            });
            runtime.block_on(spawned).unwrap();
            let words = words.recv();
            let words = words.expect("the task is gone, and has sent no number");
            assert_eq!(words, 4, "the number of words");
        });
    }
}
