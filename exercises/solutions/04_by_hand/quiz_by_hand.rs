// The states hold what the rest of the work needs, and nothing else: the first one has the client
// and the key for the second request, and the second one has the value that came. The enum is
// private inside the struct, so that it may change.
//
// `Removing` is reached and polled in one call: its future is new, and nothing would wake the task
// for it. Both futures are polled by value, after `mem::replace`, so an error ends the machine
// without code.

use std::mem;

use futures::{Async, Future, Poll};
use kvs::KvsError;
use kvs::client::manual::{ClientGetFuture, ClientRemoveFuture, KvsClient};

fn main() {}

/// Removes a key, and resolves to its value. Resolves to `None` if there is nothing to take.
#[must_use = "futures do nothing unless polled"]
struct TakeFuture(Take);

enum Take {
    Getting {
        got: ClientGetFuture,
        client: KvsClient,
        key: String,
    },
    Removing {
        removed: ClientRemoveFuture,
        value: String,
    },
    Done,
}

fn take(client: &KvsClient, key: &str) -> TakeFuture {
    let mut client = client.clone();
    let key = key.to_owned();
    TakeFuture(Take::Getting {
        got: client.get(key.clone()), // lazy: this sends nothing yet
        client,
        key,
    })
}

impl Future for TakeFuture {
    type Item = Option<String>;
    type Error = KvsError;

    fn poll(&mut self) -> Poll<Option<String>, KvsError> {
        loop {
            match mem::replace(&mut self.0, Take::Done) {
                Take::Getting {
                    mut got,
                    mut client,
                    key,
                } => match got.poll()? {
                    Async::Ready(None) => return Ok(Async::Ready(None)),
                    Async::Ready(Some(value)) => {
                        let removed = client.remove(key);
                        self.0 = Take::Removing { removed, value };
                    }
                    Async::NotReady => {
                        self.0 = Take::Getting { got, client, key };
                        return Ok(Async::NotReady);
                    }
                },
                Take::Removing { mut removed, value } => match removed.poll() {
                    Ok(Async::Ready(())) => return Ok(Async::Ready(Some(value))),
                    Ok(Async::NotReady) => {
                        self.0 = Take::Removing { removed, value };
                        return Ok(Async::NotReady);
                    }
                    // Another program has taken the letter. This is an answer, and not a failure.
                    Err(KvsError::KeyNotFound) => return Ok(Async::Ready(None)),
                    Err(error) => return Err(error),
                },
                Take::Done => panic!("polled after completion"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{self, AssertUnwindSafe};
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use futures::Async;
    use support::harness::Script;
    use support::{Task, serve, within_time};

    const GET: &str = r#"{"Get":{"key":"letter"}}"#;
    const REMOVE: &str = r#"{"Remove":{"key":"letter"}}"#;

    const KEY_NOT_FOUND: &str = r#"{"Err":{"code":"key_not_found","message":"Key not found"}}"#;

    fn connect(script: &Script) -> KvsClient {
        KvsClient::connect(script.addr).wait().unwrap()
    }

    /// Polls until the future is ready, woken or not. The other tests count the wake-ups.
    fn finish<F: Future>(future: F) -> Result<F::Item, F::Error> {
        let mut task = Task::new(future);
        loop {
            if let Async::Ready(item) = task.poll()? {
                return Ok(item);
            }
            thread::yield_now();
        }
    }

    #[test]
    fn a_letter_is_taken_once() {
        within_time(|| {
            let (_dir, server) = serve();
            let mut client = KvsClient::connect(server.addr).wait().unwrap();
            let set = client.set("letter".to_owned(), "Dear Ada".to_owned());
            set.wait().unwrap();
            let taken = finish(take(&client, "letter")).unwrap();
            assert_eq!(taken.as_deref(), Some("Dear Ada"), "the first take");
            let left = client.get("letter".to_owned()).wait().unwrap();
            assert_eq!(left, None, "the value is still on the server");
            let again = finish(take(&client, "letter"));
            assert_eq!(again.unwrap(), None, "the second take");
        });
    }

    #[test]
    fn nothing_is_sent_before_the_first_poll() {
        within_time(|| {
            let script = Script::start(|mut server| {
                assert_eq!(server.receive(), r#"{"Get":{"key":"other"}}"#);
                server.send(r#"{"Get":null}"#);
            });
            let mut client = connect(&script);
            drop(take(&client, "letter"));
            let other = client.get("other".to_owned()).wait();
            assert_eq!(other.unwrap(), None);
            script.finish();
        });
    }

    #[test]
    fn a_missing_letter_is_not_removed() {
        within_time(|| {
            let script = Script::start(|mut server| {
                assert_eq!(server.receive(), GET);
                server.send(r#"{"Get":null}"#);
                if let Ok(request) = server.try_receive() {
                    server.send(KEY_NOT_FOUND);
                    panic!("there is no letter, and the client sends {request}");
                }
            });
            let client = connect(&script);
            let taken = finish(take(&client, "letter"));
            assert_eq!(taken.expect("there is no letter, and no error"), None);
            drop(client);
            script.finish();
        });
    }

    #[test]
    fn it_is_woken_once_for_each_reply() {
        within_time(|| {
            let (answer, told) = mpsc::channel();
            let (received, requests) = mpsc::channel();
            let script = Script::start(move |mut server| {
                let replies = [(GET, r#"{"Get":"Dear Ada"}"#), (REMOVE, r#""Remove""#)];
                for (request, reply) in replies {
                    assert_eq!(server.receive(), request);
                    received.send(()).unwrap();
                    told.recv().unwrap();
                    server.send(reply);
                }
            });
            let client = connect(&script);
            let mut task = Task::new(take(&client, "letter"));
            for replies in 0..2 {
                task.expect_not_ready();
                let request = requests.recv_timeout(Duration::from_secs(4));
                request.expect(
                    "`poll` returned NotReady, but no request was sent: poll the future that you \
                     wait for in the same call",
                );
                assert_eq!(
                    task.wakes(),
                    replies,
                    "the wake-ups: one for each reply, and none without a reason"
                );
                answer.send(()).unwrap();
                task.wait_for_wake();
            }
            let taken = task.poll().unwrap();
            assert_eq!(taken, Async::Ready(Some("Dear Ada".to_owned())));
            script.finish();
        });
    }

    #[test]
    fn another_program_may_be_faster() {
        within_time(|| {
            let script = Script::start(|mut server| {
                assert_eq!(server.receive(), GET);
                server.send(r#"{"Get":"Dear Ada"}"#);
                assert_eq!(server.receive(), REMOVE);
                server.send(KEY_NOT_FOUND);
            });
            let client = connect(&script);
            let taken = finish(take(&client, "letter"));
            let taken = taken.expect("another program has removed the key: that is no error");
            assert_eq!(taken, None, "another program has taken the letter");
            script.finish();
        });
    }

    #[test]
    fn other_errors_are_passed_on() {
        within_time(|| {
            let script = Script::start(|mut server| {
                assert_eq!(server.receive(), GET);
                server.send(r#"{"Get":"Dear Ada"}"#);
                assert_eq!(server.receive(), REMOVE);
            });
            let client = connect(&script);
            let taken = finish(take(&client, "letter"));
            assert!(
                matches!(taken, Err(KvsError::Connection { .. })),
                "the connection broke before the letter was removed, and take returns {taken:?}"
            );
            script.finish();
        });
    }

    #[test]
    fn after_the_end_it_panics() {
        within_time(|| {
            let (_dir, server) = serve();
            let client = KvsClient::connect(server.addr).wait().unwrap();
            let mut task = Task::new(take(&client, "letter"));
            while !task.poll().unwrap().is_ready() {
                thread::yield_now();
            }
            let again = panic::catch_unwind(AssertUnwindSafe(|| task.poll()));
            assert!(again.is_err(), "a finished take returned {again:?}");
        });
    }
}
