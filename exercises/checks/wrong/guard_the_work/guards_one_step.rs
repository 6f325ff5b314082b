//! Fails: the_steps_run_to_their_end: the steps have ended early

use futures::sync::oneshot::{self, Canceled};
use futures::{Future, future};
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
    let mut remover = client.clone();
    let copy = client.get(old.clone()).and_then(move |value| {
        let value = value.ok_or(KvsError::KeyNotFound)?;
        Ok(client.set(new, value))
    });
    let (sender, copied) = oneshot::channel();
    runtime.spawn(
        copy.flatten()
            .then(|result| sender.send(result).map_err(drop)),
    );
    copied.and_then(move |copied| {
        future::result(copied)
            .and_then(move |()| remover.remove(old))
            .then(Ok)
    })
}
