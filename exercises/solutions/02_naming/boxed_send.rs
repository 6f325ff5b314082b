// A trait object has forgotten all about its own type but the traits that stand in `dyn ...`. So
// each box has to say `+ Send`, and the compiler checks that at `Box::new`: the inner box first,
// because the outer one contains it.

use std::sync::mpsc::Sender;

use futures::Future;
use kvs::KvsError;
use kvs::client::anon::KvsClient;

fn main() {}

/// Resolves to the value of `key`, or to an empty text.
fn text(
    client: &mut KvsClient,
    key: String,
) -> Box<dyn Future<Item = String, Error = KvsError> + Send> {
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
