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
    let value = client.get(old.clone());
    let steps = value
        .and_then(|value| value.ok_or(KvsError::KeyNotFound))
        .and_then(move |value| {
            let set = client.set(new, value);
            set.and_then(move |()| client.remove(old))
        });
    // The handle drops the steps when it is dropped.
    let handle = oneshot::spawn(steps.then(Ok::<_, Canceled>), &runtime.handle());
    handle
}
