// Yesterday, both functions compiled. Then the body of `count` got a counter, which the closures
// share, and now `spawn_count` does not compile, although neither its own code nor the signature of
// `count` has changed: `Send` leaks through an `impl Future`, and so does its absence.
//
// First let the signature of `count` promise `Send`, and see where the error is now. Then mend the
// body. Keep `spawn_count` as it is.
// `docs/part-4-anonymous.md`, "`Send` leaks through".

use std::cell::Cell;
use std::rc::Rc;
use std::sync::mpsc::Sender;

use futures::{Future, future};
use kvs::KvsError;
use kvs::client::anon::KvsClient;

fn main() {}

/// Resolves to the number of `keys` that exist.
fn count(
    client: &mut KvsClient,
    keys: &[&str],
) -> impl Future<Item = usize, Error = KvsError> + use<> {
    // TODO: the promise in the signature, and a body that keeps it.
    let found = Rc::new(Cell::new(0));
    let gets: Vec<_> = keys
        .iter()
        .map(|key| {
            let found = Rc::clone(&found);
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

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future;
    use std::sync::mpsc;
    use support::{serve, within_time};
    use tokio::runtime::Runtime;

    #[test]
    fn the_keys_that_exist_are_counted_in_a_task() {
        within_time(|| {
            let (_dir, server) = serve();
            let mut runtime = Runtime::new().unwrap();
            let mut client = runtime.block_on(KvsClient::connect(server.addr)).unwrap();
            for key in ["a", "c"] {
                let set = client.set(key.to_owned(), "value".to_owned());
                runtime.block_on(set).unwrap();
            }
            let (sender, number) = mpsc::channel();
            let spawned = future::lazy(move || {
                spawn_count(&mut client, &["a", "b", "c"], sender);
                Ok::<_, ()>(())
            });
            runtime.block_on(spawned).unwrap();
            let number = number.recv();
            let number = number.expect("the task is gone, and has sent no number");
            assert_eq!(number, 2, "the number of keys that exist among a, b and c");
        });
    }
}
