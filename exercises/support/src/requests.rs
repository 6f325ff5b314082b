//! Requests that the test answers, so that it decides which of them completes when.

use std::fmt;
use std::sync::{Arc, Mutex};

use futures::sync::oneshot::{self, Receiver, Sender};
use futures::{Async, Future, Poll};
use kvs::KvsError;
use kvs::client::anon::KvsClient;

use crate::common::NOBODY;

/// A server that exists in the test only. It answers a request when the test says so.
pub struct Requests<T, E = KvsError>(Arc<Mutex<State<T, E>>>);

struct State<T, E> {
    /// The requests that have no answer yet.
    pending: Vec<(String, Sender<Result<T, E>>)>,
    /// The names of the requests that were polled, in the order of their first polls.
    sent: Vec<String>,
    running: usize,
    most: usize,
}

/// The future of a request. It is lazy: its first poll sends it.
pub struct Request<T, E = KvsError> {
    name: String,
    /// `None` after the end.
    answer: Option<Receiver<Result<T, E>>>,
    is_sent: bool,
    state: Arc<Mutex<State<T, E>>>,
}

impl<T, E> Default for Requests<T, E> {
    fn default() -> Self {
        Requests(Arc::new(Mutex::new(State {
            pending: Vec::new(),
            sent: Vec::new(),
            running: 0,
            most: 0,
        })))
    }
}

impl<T, E> Requests<T, E> {
    pub fn new() -> Self {
        Requests::default()
    }

    /// Makes a request. Several requests may have one name.
    pub fn make(&self, name: impl Into<String>) -> Request<T, E> {
        let (sender, answer) = oneshot::channel();
        let name = name.into();
        let mut state = self.0.lock().unwrap();
        state.pending.push((name.clone(), sender));
        Request {
            name,
            answer: Some(answer),
            is_sent: false,
            state: Arc::clone(&self.0),
        }
    }

    /// Answers the oldest request with this name that has no answer yet.
    ///
    /// # Panics
    ///
    /// Panics if there is no such request, or if it was dropped.
    #[track_caller]
    pub fn answer(&self, name: &str, result: Result<T, E>) {
        let mut state = self.0.lock().unwrap();
        let at = state.pending.iter().position(|(its, _)| its == name);
        let Some(at) = at else {
            drop(state);
            panic!("no request for `{name}` is pending");
        };
        let (_, sender) = state.pending.remove(at);
        drop(state);
        let is_sent = sender.send(result).is_ok();
        assert!(is_sent, "the request for `{name}` was dropped");
    }

    /// Returns the names of the requests that were sent, in the order in which they were sent.
    pub fn sent(&self) -> Vec<String> {
        self.0.lock().unwrap().sent.clone()
    }

    /// Returns how many requests are running: sent, but neither completed nor dropped.
    pub fn running(&self) -> usize {
        self.0.lock().unwrap().running
    }

    /// Returns how many requests were running at the same time, at most.
    pub fn most(&self) -> usize {
        self.0.lock().unwrap().most
    }
}

impl<T, E> Request<T, E> {
    fn end(&mut self) {
        // Some tests drop a request while they panic.
        if let (Some(_), true, Ok(mut state)) =
            (self.answer.take(), self.is_sent, self.state.lock())
        {
            state.running -= 1;
        }
    }
}

impl<T, E> Future for Request<T, E> {
    type Item = T;
    type Error = E;

    fn poll(&mut self) -> Poll<T, E> {
        let Some(answer) = &mut self.answer else {
            panic!(
                "the request for `{}` has completed, and is polled again",
                self.name
            );
        };
        if !self.is_sent {
            self.is_sent = true;
            let mut state = self.state.lock().unwrap();
            state.sent.push(self.name.clone());
            state.running += 1;
            state.most = state.most.max(state.running);
        }
        let polled = answer.poll();
        match polled.expect("the server of the test keeps the sender until it answers") {
            Async::NotReady => Ok(Async::NotReady),
            Async::Ready(result) => {
                self.end();
                result.map(Async::Ready)
            }
        }
    }
}

impl<T, E> fmt::Debug for Request<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the request for `{}`", self.name)
    }
}

impl<T, E> Drop for Request<T, E> {
    fn drop(&mut self) {
        self.end();
    }
}

/// Returns the error of a connection that was refused.
///
/// # Panics
///
/// Panics if a server listens on port 1.
pub fn refused() -> KvsError {
    let connect = KvsClient::connect(NOBODY).wait();
    connect.expect_err("no server listens on port 1")
}
