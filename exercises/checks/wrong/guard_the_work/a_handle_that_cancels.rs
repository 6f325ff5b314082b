//! Fails: the_steps_run_to_their_end: the steps have ended early

use futures::Future;
use futures::sync::oneshot::{self, Canceled};
use kvs::KvsError;
use kvs::client::anon::KvsClient;
use tokio::runtime::current_thread::Runtime;

fn main() {}

fn rename(
    runtime: &mut Runtime,
    mut client: KvsClient,
    old: &str,
    new: &str,
) -> impl Future<Item = Result<(), KvsError>, Error = Canceled> + use<> {
    let (old, new) = (old.to_owned(), new.to_owned());
    let steps = client.get(old.clone()).and_then(move |value| {
        let value = value.ok_or(KvsError::KeyNotFound)?;
        Ok(client
            .set(new, value)
            .and_then(move |()| client.remove(old)))
    });
    let steps = steps.flatten();
    // The handle drops the steps when it is dropped.
    let handle = oneshot::spawn(steps.then(Ok::<_, Canceled>), &runtime.handle());
    handle
}
