// You want to remove a key in the background: a task of its own does it, and you ask for the result
// later, or never. `tokio::spawn` starts a task on the runtime that polls you. But a task has no
// caller, so `tokio::spawn` takes a future whose item and error are both `()`.
//
// Send the result of the `remove` through the oneshot: `Ok` if it succeeds, and `Err` if it fails.
// Some programs drop the receiver. Their key has to be removed all the same.
// `docs/part-1-tokio.md`, "The signature first, then the body", has the oneshot, and
// `docs/background.md`, "Past every `and_then`", the combinators.

#![allow(unused_imports, reason = "you will need them")]

use futures::Future;
use futures::sync::oneshot::{self, Receiver};
use kvs::KvsError;
use kvs::client::anon::KvsClient;

fn main() {}

/// Removes `key` in a task of its own. Returns at once, with the receiving end of the result.
fn spawn_remove(client: &mut KvsClient, key: String) -> Receiver<Result<(), KvsError>> {
    let (sender, receiver) = oneshot::channel();
    // TODO: the item of this future has to be `()`, its error as well, and `sender` is not used.
    tokio::spawn(client.remove(key));
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future;
    use support::{serve, within_time};
    use tokio::runtime::current_thread::Runtime;

    const NO_RESULT: &str = "the sender is dropped without a result: move it into the task, and \
                             send both the item and the error";

    /// Calls `spawn_remove` on a runtime. The server has the key `there`, and no other.
    fn remove(key: &str) -> Result<(), KvsError> {
        let (_dir, server) = serve();
        let mut runtime = Runtime::new().unwrap();
        let mut client = runtime.block_on(KvsClient::connect(server.addr)).unwrap();
        let set = client.set("there".to_owned(), "value".to_owned());
        runtime.block_on(set).unwrap();
        let removed = future::lazy(|| spawn_remove(&mut client, key.to_owned()));
        runtime.block_on(removed).expect(NO_RESULT)
    }

    #[test]
    fn a_success_arrives_through_the_oneshot() {
        within_time(|| {
            let removed = remove("there");
            assert!(removed.is_ok(), "the key exists, but: {removed:?}");
        });
    }

    #[test]
    fn an_error_arrives_through_the_oneshot() {
        within_time(|| {
            let removed = remove("missing");
            assert!(
                matches!(removed, Err(KvsError::KeyNotFound)),
                "the key does not exist, but: {removed:?}"
            );
        });
    }

    #[test]
    fn the_key_is_removed_although_the_receiver_is_dropped() {
        within_time(|| {
            let (_dir, server) = serve();
            let mut runtime = Runtime::new().unwrap();
            let mut client = runtime.block_on(KvsClient::connect(server.addr)).unwrap();
            let set = client.set("key".to_owned(), "value".to_owned());
            runtime.block_on(set).unwrap();
            let spawned = future::lazy(|| {
                drop(spawn_remove(&mut client, "key".to_owned()));
                Ok::<_, ()>(())
            });
            runtime.block_on(spawned).unwrap();
            drop(client);
            // Returns when all tasks are done.
            runtime.run().unwrap();

            let mut client = KvsClient::connect(server.addr).wait().unwrap();
            let value = client.get("key".to_owned()).wait().unwrap();
            assert_eq!(value, None, "the value of the key that the task removes");
        });
    }
}
