// The runtime owns the steps, so a drop on the side of the caller cannot cut them. The caller owns the
// receiver, and to drop it is the way to say "stop". The task asks between two keys, where stopping
// is harmless, and not between the steps of one.
//
// `is_canceled` is enough here, because the task does not wait for the drop: it looks when it passes.
// An error is sent as a value. If it left the loop as an error, the sender would be dropped, and the
// caller would only learn that there is no result.

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

/// Archives the keys one after the other, as a task of `runtime`, and returns the receiver of the
/// number of keys, or of the first error. If the receiver is dropped, the task stops after the key
/// that it is at: each key is archived, or not at all.
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
        Either::B(archive(&client, key).then(move |archived| {
            Ok(match archived {
                Ok(()) => Loop::Continue((client, keys, count + 1, sender)),
                Err(error) => {
                    let _ = sender.send(Err(error));
                    Loop::Break(())
                }
            })
        }))
    });
    runtime.spawn(task);
    archived
}

/// Waits for the result, and drops it if `stop` completes first. Resolves to `None` then.
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

#[cfg(test)]
mod tests {
    use super::*;
    use futures::Async;
    use std::sync::mpsc;
    use support::harness::Script;
    use support::{Task, serve, within_time};

    fn keys(keys: &[&str]) -> Vec<String> {
        keys.iter().map(|key| key.to_string()).collect()
    }

    #[test]
    fn all_keys_are_archived() {
        within_time(|| {
            let (_dir, server) = serve();
            let mut runtime = Runtime::new().unwrap();
            let mut client = runtime.block_on(KvsClient::connect(server.addr)).unwrap();
            for key in ["a", "b", "c"] {
                let set = client.set(key.to_owned(), key.to_uppercase());
                runtime.block_on(set).unwrap();
            }
            let archived = archive_all(&mut runtime, client.clone(), keys(&["a", "b", "c"]));
            let (_button, stop) = oneshot::channel();
            let result = runtime.block_on(unless_stopped(archived, stop)).unwrap();
            assert!(matches!(result, Some(Ok(3))), "three keys, but: {result:?}");
            let both = client
                .get("c".to_owned())
                .join(client.get("moved:c".to_owned()));
            let both = runtime.block_on(both).unwrap();
            assert_eq!(
                both,
                (None, Some("C".to_owned())),
                "the old and the new key"
            );
        });
    }

    #[test]
    fn an_error_reaches_the_caller() {
        within_time(|| {
            let (_dir, server) = serve();
            let mut runtime = Runtime::new().unwrap();
            let client = runtime.block_on(KvsClient::connect(server.addr)).unwrap();
            let archived = archive_all(&mut runtime, client, keys(&["missing"]));
            let result = runtime.block_on(archived);
            assert!(
                matches!(result, Ok(Err(KvsError::KeyNotFound))),
                "the key is missing, but the caller gets {result:?}"
            );
        });
    }

    #[test]
    fn a_button_that_is_gone_stops_too() {
        within_time(|| {
            let (_sender, archived) = oneshot::channel();
            let (button, stop) = oneshot::channel();
            drop(button);
            let result = Task::new(unless_stopped(archived, stop)).poll();
            assert!(
                matches!(result, Ok(Async::Ready(None))),
                "the button is gone, but: {result:?}"
            );
        });
    }

    #[test]
    fn the_task_stops_after_the_key_that_it_is_at() {
        within_time(|| {
            let (press, pressed) = oneshot::channel();
            let (go_on, told) = mpsc::channel();
            let (report, requests) = mpsc::channel();
            let script = Script::start(move |mut peer| {
                report.send(peer.receive()).unwrap();
                peer.send(r#"{"Get":"value"}"#);
                report.send(peer.receive()).unwrap();
                // The user stops while the value is being set.
                press.send(()).expect("`stop` is gone: is it polled?");
                told.recv().unwrap();
                peer.send(r#""Set""#);
                if let Ok(request) = peer.try_receive() {
                    report.send(request).unwrap();
                    peer.send(r#""Remove""#);
                }
                if let Ok(request) = peer.try_receive() {
                    report.send(request).unwrap();
                }
            });
            let mut runtime = Runtime::new().unwrap();
            let client = runtime.block_on(KvsClient::connect(script.addr)).unwrap();
            let archived = archive_all(&mut runtime, client, keys(&["a", "b"]));
            let result = runtime.block_on(unless_stopped(archived, pressed)).unwrap();
            assert!(result.is_none(), "the user has stopped, but: {result:?}");
            go_on.send(()).unwrap();
            runtime.run().unwrap();
            let requests: Vec<String> = requests.into_iter().collect();
            assert_eq!(
                requests.get(2).map(String::as_str),
                Some(r#"{"Remove":{"key":"a"}}"#),
                "the key is there twice"
            );
            assert_eq!(requests.get(3), None, "the task begins another key");
        });
    }
}
