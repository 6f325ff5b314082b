//! Fails: an_error_reaches_the_caller: the old key is missing, but the caller gets

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
    let (sender, done) = oneshot::channel();
    runtime.spawn(steps.map_err(|error| eprintln!("{error}")).then(|_| {
        let _ = sender.send(());
        Ok(())
    }));
    done.map(Ok)
}
