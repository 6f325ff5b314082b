// `+ Send` does not change the type. It moves the error from the callers to the body, which is the
// only place to mend it.
//
// The shared counter is not needed: the items of `join_all` have all that there is to count. Where
// futures have to share, an `Arc` with an atomic in it is `Send`.

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
    let gets: Vec<_> = keys
        .iter()
        .map(|key| client.get((*key).to_owned()))
        .collect();
    future::join_all(gets).map(|values| values.iter().flatten().count())
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
