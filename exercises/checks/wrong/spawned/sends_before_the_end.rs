//! Fails: an_error_arrives_through_the_oneshot: the key does not exist, but: Ok(())

use futures::Future;
use futures::sync::oneshot::{self, Receiver};
use kvs::KvsError;
use kvs::client::anon::KvsClient;

fn main() {}

/// Removes `key` in a task of its own. Returns at once, with the receiving end of the result.
fn spawn_remove(client: &mut KvsClient, key: String) -> Receiver<Result<(), KvsError>> {
    let (sender, receiver) = oneshot::channel();
    sender.send(Ok(())).unwrap();
    tokio::spawn(client.remove(key).map_err(drop));
    receiver
}
