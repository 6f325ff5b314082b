//! Clients with the bugs of `docs/by-hand.md` that no client of the harness has.
//!
//! Their code is that of the page, so that a reader recognizes it in the player.

use std::fmt::Debug;
use std::marker::PhantomData;
use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;

use futures::executor::{self, Notify, Spawn};
use futures::task::{self, Task};
use futures::{Async, Future, Poll, try_ready};
use kvs::KvsError;
use kvs::client::connection::{Connection, Receiving, Sending};
use kvs::client::manual::{self, ClientGetFuture};
use kvs::protocol::{Request, Response};

use super::clients::{Get, Watched, shown, state, stateless};
use super::executor::StateCell;

/// The exchange of a request and its reply, with a mistake.
pub trait Mistake: Future<Item = Response, Error = KvsError> + Debug + Send + 'static {
    /// The name of the client in its recordings.
    const NAME: &'static str;

    fn new(sent: Sending, reply: Receiving) -> Self;
}

/// A client that makes its requests with a mistake.
pub struct ByHand<M> {
    connection: Connection,
    mistake: PhantomData<fn() -> M>,
}

impl<M: Mistake> Watched for ByHand<M> {
    const NAME: &'static str = M::NAME;

    fn open(addr: SocketAddr) -> impl Future<Item = Self, Error = KvsError> + Send + 'static {
        Connection::open(addr).map(|connection| ByHand {
            connection,
            mistake: PhantomData,
        })
    }

    fn watched_get(&mut self, key: &str, cell: &StateCell) -> (Get, usize) {
        let key = key.to_owned();
        let (sent, reply) = self.connection.request(&Request::Get { key });
        let get = Value(M::new(sent, reply));
        let size = size_of_val(&get);
        (shown(get, |get| state(&get.0, ""), cell), size)
    }
}

/// The value in the reply of an exchange.
struct Value<M>(M);

impl<M: Mistake> Future for Value<M> {
    type Item = Option<String>;
    type Error = KvsError;

    fn poll(&mut self) -> Poll<Option<String>, KvsError> {
        try_ready!(self.0.poll()).into_value().map(Async::Ready)
    }
}

/// Makes a type of exchange with a mistake in its `poll`, which is the body of the macro.
macro_rules! mistake {
    ($(#[$doc:meta])* $name:ident, $title:literal, |$this:ident| $poll:expr) => {
        $(#[$doc])*
        #[derive(Debug)]
        #[allow(dead_code, reason = "one mistake is to leave a state out")]
        pub enum $name {
            WaitingForRoom { sent: Sending, reply: Receiving },
            WaitingForReply { reply: Receiving },
            Done,
        }

        impl Mistake for $name {
            const NAME: &'static str = $title;

            fn new(sent: Sending, reply: Receiving) -> Self {
                $name::WaitingForRoom { sent, reply }
            }
        }

        impl Future for $name {
            type Item = Response;
            type Error = KvsError;

            fn poll(&mut self) -> Poll<Response, KvsError> {
                let $this = self;
                loop {
                    $poll
                }
            }
        }
    };
}

mistake!(
    /// It returns after the first state, and nothing will wake the task.
    StopsBetweenTwoStates,
    "stops between two states",
    |this| match mem::replace(this, StopsBetweenTwoStates::Done) {
        StopsBetweenTwoStates::WaitingForRoom { mut sent, reply } => match sent.poll()? {
            Async::Ready(()) => {
                *this = StopsBetweenTwoStates::WaitingForReply { reply };
                return Ok(Async::NotReady); // instead of continuing
            }
            Async::NotReady => {
                *this = StopsBetweenTwoStates::WaitingForRoom { sent, reply };
                return Ok(Async::NotReady);
            }
        },
        StopsBetweenTwoStates::WaitingForReply { mut reply } => match reply.poll()? {
            Async::Ready(response) => return Ok(Async::Ready(response)),
            Async::NotReady => {
                *this = StopsBetweenTwoStates::WaitingForReply { reply };
                return Ok(Async::NotReady);
            }
        },
        StopsBetweenTwoStates::Done => panic!("polled after completion"),
    }
);

mistake!(
    /// It takes the second state out and does not put it back.
    LosesItsState,
    "does not put the state back",
    |this| match mem::replace(this, LosesItsState::Done) {
        LosesItsState::WaitingForRoom { mut sent, reply } => match sent.poll()? {
            Async::Ready(()) => *this = LosesItsState::WaitingForReply { reply },
            Async::NotReady => {
                *this = LosesItsState::WaitingForRoom { sent, reply };
                return Ok(Async::NotReady);
            }
        },
        LosesItsState::WaitingForReply { mut reply } => {
            return Ok(Async::Ready(try_ready!(reply.poll())));
        }
        LosesItsState::Done => panic!("polled after completion"),
    }
);

mistake!(
    /// It stays in the first state although the first half is done.
    PollsAFinishedFuture,
    "polls a finished future",
    |this| match mem::replace(this, PollsAFinishedFuture::Done) {
        PollsAFinishedFuture::WaitingForRoom {
            mut sent,
            mut reply,
        } => {
            try_ready!(sent.poll());
            let response = reply.poll()?;
            if response.is_ready() {
                return Ok(response);
            }
            *this = PollsAFinishedFuture::WaitingForRoom { sent, reply }; // the old state
            return Ok(Async::NotReady);
        }
        _ => panic!("polled after completion"),
    }
);

mistake!(
    /// It waits for the reply inside `poll`.
    WaitsInPoll,
    "waits in poll",
    |this| match mem::replace(this, WaitsInPoll::Done) {
        WaitsInPoll::WaitingForRoom { mut sent, reply } => match sent.poll()? {
            Async::Ready(()) => *this = WaitsInPoll::WaitingForReply { reply },
            Async::NotReady => {
                *this = WaitsInPoll::WaitingForRoom { sent, reply };
                return Ok(Async::NotReady);
            }
        },
        WaitsInPoll::WaitingForReply { reply } => return reply.wait().map(Async::Ready),
        WaitsInPoll::Done => panic!("polled after completion"),
    }
);

mistake!(
    /// It drops an error of the first half.
    LosesAnError,
    "loses an error",
    |this| match mem::replace(this, LosesAnError::Done) {
        LosesAnError::WaitingForRoom { mut sent, reply } => match sent.poll() {
            Ok(Async::Ready(())) | Err(_) => *this = LosesAnError::WaitingForReply { reply },
            Ok(Async::NotReady) => {
                *this = LosesAnError::WaitingForRoom { sent, reply };
                return Ok(Async::NotReady);
            }
        },
        LosesAnError::WaitingForReply { mut reply } => match reply.poll()? {
            Async::Ready(response) => return Ok(Async::Ready(response)),
            Async::NotReady => {
                *this = LosesAnError::WaitingForReply { reply };
                return Ok(Async::NotReady);
            }
        },
        LosesAnError::Done => panic!("polled after completion"),
    }
);

/// It wakes the task of its first poll for ever.
#[derive(Debug)]
pub enum WakesTheFirstTask {
    WaitingForRoom {
        sent: Sending,
        reply: Receiving,
    },
    WaitingForReply {
        reply: Spawn<Receiving>,
        waker: Arc<First>,
    },
    Done,
}

/// The task of the first poll.
#[derive(Debug)]
pub struct First(Task);

impl Notify for First {
    fn notify(&self, _: usize) {
        self.0.notify();
    }
}

impl Mistake for WakesTheFirstTask {
    const NAME: &'static str = "wakes the wrong task";

    fn new(sent: Sending, reply: Receiving) -> Self {
        WakesTheFirstTask::WaitingForRoom { sent, reply }
    }
}

impl Future for WakesTheFirstTask {
    type Item = Response;
    type Error = KvsError;

    fn poll(&mut self) -> Poll<Response, KvsError> {
        loop {
            match mem::replace(self, WakesTheFirstTask::Done) {
                WakesTheFirstTask::WaitingForRoom { mut sent, reply } => match sent.poll()? {
                    Async::Ready(()) => {
                        let reply = executor::spawn(reply);
                        let waker = Arc::new(First(task::current())); // kept, and never replaced
                        *self = WakesTheFirstTask::WaitingForReply { reply, waker };
                    }
                    Async::NotReady => {
                        *self = WakesTheFirstTask::WaitingForRoom { sent, reply };
                        return Ok(Async::NotReady);
                    }
                },
                WakesTheFirstTask::WaitingForReply { mut reply, waker } => {
                    match reply.poll_future_notify(&waker, 0)? {
                        Async::Ready(response) => return Ok(Async::Ready(response)),
                        Async::NotReady => {
                            *self = WakesTheFirstTask::WaitingForReply { reply, waker };
                            return Ok(Async::NotReady);
                        }
                    }
                }
                WakesTheFirstTask::Done => panic!("polled after completion"),
            }
        }
    }
}

/// A client whose futures continue on a thread after their drop.
pub struct WorksOnAfterTheDrop(manual::KvsClient);

/// The future of such a client. `None` stands for the state `Done`, which is private in `manual`.
struct Unstoppable(Option<ClientGetFuture>);

impl Watched for WorksOnAfterTheDrop {
    const NAME: &'static str = "works on after the drop";

    fn open(addr: SocketAddr) -> impl Future<Item = Self, Error = KvsError> + Send + 'static {
        manual::KvsClient::connect(addr).map(WorksOnAfterTheDrop)
    }

    fn watched_get(&mut self, key: &str, _: &StateCell) -> (Get, usize) {
        stateless(Unstoppable(Some(self.0.get(key.to_owned()))))
    }
}

impl Future for Unstoppable {
    type Item = Option<String>;
    type Error = KvsError;

    fn poll(&mut self) -> Poll<Option<String>, KvsError> {
        let get = self.0.as_mut().expect("polled after completion");
        let value = try_ready!(get.poll());
        self.0 = None;
        Ok(Async::Ready(value))
    }
}

impl Drop for Unstoppable {
    fn drop(&mut self) {
        if let Some(rest) = self.0.take() {
            // The recording names the thread.
            let thread = thread::Builder::new().name("another thread".to_owned());
            let spawned = thread.spawn(|| rest.wait());
            spawned.expect("the system has room for a thread");
        }
    }
}
