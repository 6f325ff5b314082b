// `spawn` starts a new tree of owners: the runtime owns the steps, and only their end or the end of
// the runtime drops them. The caller owns the receiver. If it is gone, `send` fails, and the task has
// nothing else to do.

use futures::Future;
use futures::sync::oneshot::{self, Canceled};
use kvs::KvsError;
use kvs::client::anon::KvsClient;
use tokio::runtime::current_thread::Runtime;

fn main() {}

/// Moves the value of `old` to `new`. Resolves to the result of the steps, and fails if the runtime
/// ends before that. If it is dropped, the steps continue.
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
    let (sender, result) = oneshot::channel();
    runtime.spawn(steps.then(|result| sender.send(result).map_err(drop)));
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use support::harness::Script;
    use support::{serve, within_time};

    #[test]
    fn a_value_is_renamed() {
        within_time(|| {
            let (_dir, server) = serve();
            let mut runtime = Runtime::new().unwrap();
            let mut client = runtime.block_on(KvsClient::connect(server.addr)).unwrap();
            let set = client.set("old".to_owned(), "value".to_owned());
            runtime.block_on(set).unwrap();
            let renamed = rename(&mut runtime, client.clone(), "old", "new");
            runtime.block_on(renamed).unwrap().unwrap();
            let both = client
                .get("old".to_owned())
                .join(client.get("new".to_owned()));
            let both = runtime.block_on(both).unwrap();
            assert_eq!(
                both,
                (None, Some("value".to_owned())),
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
            let renamed = rename(&mut runtime, client, "missing", "new");
            let result = runtime
                .block_on(renamed)
                .expect("the steps have failed, and the caller gets no result");
            assert!(
                matches!(result, Err(KvsError::KeyNotFound)),
                "the old key is missing, but the caller gets {result:?}"
            );
        });
    }

    #[test]
    fn the_steps_run_to_their_end() {
        within_time(|| {
            let (arrived, set_arrived) = oneshot::channel();
            let (go_on, told) = mpsc::channel();
            let (report, requests) = mpsc::channel();
            let script = Script::start(move |mut peer| {
                report.send(peer.receive()).unwrap();
                peer.send(r#"{"Get":"value"}"#);
                report.send(peer.receive()).unwrap();
                arrived.send(()).unwrap();
                told.recv().unwrap();
                peer.send(r#""Set""#);
                if let Ok(request) = peer.try_receive() {
                    report.send(request).unwrap();
                    peer.send(r#""Remove""#);
                }
            });
            let mut runtime = Runtime::new().unwrap();
            let client = runtime.block_on(KvsClient::connect(script.addr)).unwrap();
            let renamed = rename(&mut runtime, client, "old", "new");
            // The caller gives up when the server has the second request.
            let first = runtime.block_on(renamed.select2(set_arrived));
            drop(first);
            go_on.send(()).unwrap();
            runtime.run().unwrap();
            let requests: Vec<String> = requests.into_iter().collect();
            let last = requests.last().unwrap();
            assert_eq!(
                last, r#"{"Remove":{"key":"old"}}"#,
                "the caller has given up, and the last request shows that the steps have ended early"
            );
        });
    }
}
