//! Fails: it_is_woken_once_for_each_reply: and none without a reason

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
                        futures::task::current().notify();
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

