//! Fails: an_error_reaches_the_caller: the key is missing, but the caller gets

use futures::Future;
use futures::future::{self, Either, Loop};
use futures::sync::oneshot::{self, Canceled, Receiver};
use kvs::KvsError;
use kvs::client::anon::KvsClient;
use tokio::runtime::current_thread::Runtime;

fn main() {}

/// Moves the value of `key` to `moved:key`.
fn archive(client: &KvsClient, key: String) -> impl Future<Item = (), Error = KvsError> + use<> {
    let mut client = client.clone();
    let get = client.get(key.clone());
    get.and_then(|value| value.ok_or(KvsError::KeyNotFound))
        .and_then(move |value| {
            let set = client.set(format!("moved:{key}"), value);
            set.and_then(move |()| client.remove(key))
        })
}

fn archive_all(
    runtime: &mut Runtime,
    client: KvsClient,
    keys: Vec<String>,
) -> Receiver<Result<usize, KvsError>> {
    let (sender, archived) = oneshot::channel();
    let start = (client, keys.into_iter(), 0, sender);
    let task = future::loop_fn(start, |(client, mut keys, count, sender)| {
        if sender.is_canceled() {
            return Either::A(future::ok(Loop::Break(())));
        }
        let Some(key) = keys.next() else {
            let _ = sender.send(Ok(count));
            return Either::A(future::ok(Loop::Break(())));
        };
        let archived = archive(&client, key);
        Either::B(archived.map(move |()| Loop::Continue((client, keys, count + 1, sender))))
    });
    runtime.spawn(task.map_err(|error| eprintln!("{error}")));
    archived
}

fn unless_stopped(
    archived: Receiver<Result<usize, KvsError>>,
    stop: Receiver<()>,
) -> impl Future<Item = Option<Result<usize, KvsError>>, Error = Canceled> {
    archived.select2(stop).then(|first| match first {
        Ok(Either::A((result, _stop))) => Ok(Some(result)),
        Err(Either::A((Canceled, _stop))) => Err(Canceled),
        Ok(Either::B(_)) | Err(Either::B(_)) => Ok(None),
    })
}
