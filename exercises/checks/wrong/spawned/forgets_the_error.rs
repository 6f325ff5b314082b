//! Fails: an_error_arrives_through_the_oneshot: the sender is dropped without a result

use futures::Future;
use futures::sync::oneshot::{self, Receiver};
use kvs::KvsError;
use kvs::client::anon::KvsClient;

fn main() {}

/// Removes `key` in a task of its own. Returns at once, with the receiving end of the result.
fn spawn_remove(client: &mut KvsClient, key: String) -> Receiver<Result<(), KvsError>> {
    let (sender, receiver) = oneshot::channel();
    let removed = client.remove(key);
    tokio::spawn(
        removed
            .map(|()| sender.send(Ok(())).unwrap_or_default())
            .map_err(drop),
    );
    receiver
}
