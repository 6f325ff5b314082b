//! Fails: the_task_stops_after_the_key_that_it_is_at: the key is there twice

use futures::future::{self, Either, Loop};
use futures::sync::oneshot::{self, Canceled, Receiver};
use futures::{Async, Future};
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
    let (mut sender, archived) = oneshot::channel();
    let start = (client, keys.into_iter(), 0);
    let mut steps = future::loop_fn(start, |(client, mut keys, count)| {
        let Some(key) = keys.next() else {
            return Either::A(future::ok(Loop::Break(count)));
        };
        let archived = archive(&client, key);
        Either::B(archived.map(move |()| Loop::Continue((client, keys, count + 1))))
    });
    let steps = future::poll_fn(move || {
        if sender.poll_cancel().is_ok_and(|gone| gone.is_ready()) {
            return Ok(Async::Ready(None));
        }
        let result = match steps.poll() {
            Ok(Async::NotReady) => return Ok(Async::NotReady),
            Ok(Async::Ready(count)) => Ok(count),
            Err(error) => Err(error),
        };
        let (unused, _) = oneshot::channel();
        let sender = std::mem::replace(&mut sender, unused);
        Ok::<_, ()>(Async::Ready(Some((sender, result))))
    });
    runtime.spawn(steps.map(|sent| {
        if let Some((sender, result)) = sent {
            let _ = sender.send(result);
        }
    }));
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
