//! Clients that each have one mistake, and one that has none.
//!
//! They are built on the library's [`Connection`], as the variants are, so they need no feature.

use std::mem;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use futures::executor::{self, Notify, NotifyHandle, Spawn};
use futures::{Async, Future, Poll, future, task};
use kvs::client::Client;
use kvs::client::connection::Connection;
use kvs::protocol::{Request, Response};
use kvs::{KvsError, Token};

type Boxed<T> = Box<dyn Future<Item = T, Error = KvsError> + Send>;

/// The mistake of a client, which changes its requests or its futures.
pub trait Fault: Clone + Default + Send + 'static {
    fn request(&self, request: Request) -> Request {
        request
    }

    fn spoil<T: Send + 'static>(future: Boxed<T>) -> Boxed<T>;

    fn spoil_connect<T: Send + 'static>(future: Boxed<T>) -> Boxed<T> {
        future
    }
}

pub struct Faulty<F> {
    connection: Connection,
    fault: F,
}

impl<F: Fault> Faulty<F> {
    fn exchange<T: Send + 'static>(
        &self,
        request: Request,
        take: fn(Response) -> Result<T, KvsError>,
    ) -> Boxed<T> {
        let (sent, reply) = self.connection.request(&self.fault.request(request));
        F::spoil(Box::new(sent.and_then(|()| reply).and_then(take)))
    }
}

impl<F: Fault> Clone for Faulty<F> {
    fn clone(&self) -> Self {
        Faulty {
            connection: self.connection.clone(),
            fault: self.fault.clone(),
        }
    }
}

impl<F: Fault> Client for Faulty<F> {
    fn connect(addr: SocketAddr) -> impl Future<Item = Self, Error = KvsError> + Send {
        F::spoil_connect(Box::new(Connection::open(addr).map(|connection| Faulty {
            connection,
            fault: F::default(),
        })))
    }

    fn get(
        &mut self,
        key: String,
    ) -> impl Future<Item = Option<String>, Error = KvsError> + Send + use<F> {
        self.exchange(Request::Get { key }, Response::into_value)
    }

    fn set(
        &mut self,
        key: String,
        value: String,
    ) -> impl Future<Item = (), Error = KvsError> + Send + use<F> {
        self.exchange(Request::Set { key, value }, Response::into_done)
    }

    fn remove(&mut self, key: String) -> impl Future<Item = (), Error = KvsError> + Send + use<F> {
        self.exchange(Request::Remove { key }, Response::into_done)
    }

    fn auth(&mut self, token: &Token) -> impl Future<Item = (), Error = KvsError> + Send + use<F> {
        let token = token.reveal();
        self.exchange(Request::Auth { token }, Response::into_done)
    }
}

/// A client without a mistake.
pub type Sound = Faulty<NoFault>;

#[derive(Clone, Default)]
pub struct NoFault;

impl Fault for NoFault {
    fn spoil<T: Send + 'static>(future: Boxed<T>) -> Boxed<T> {
        future
    }
}

/// A client that polls each future once before it returns it.
pub type SendsEagerly = Faulty<Eager>;

#[derive(Clone, Default)]
pub struct Eager;

impl Fault for Eager {
    fn spoil<T: Send + 'static>(future: Boxed<T>) -> Boxed<T> {
        let mut future = executor::spawn(future);
        match future.poll_future_notify(&NotifyHandle::from(Arc::new(NoWake)), 0) {
            Ok(Async::NotReady) => Box::new(future.into_inner()),
            Ok(Async::Ready(item)) => Box::new(future::ok(item)),
            Err(error) => Box::new(future::err(error)),
        }
    }

    fn spoil_connect<T: Send + 'static>(future: Boxed<T>) -> Boxed<T> {
        Eager::spoil(future)
    }
}

/// A notifier that wakes no task.
struct NoWake;

impl Notify for NoWake {
    fn notify(&self, _: usize) {}
}

/// A client that polls its futures on a task that cannot be woken.
pub type LosesAWakeUp = Faulty<Deaf>;

#[derive(Clone, Default)]
pub struct Deaf;

impl Fault for Deaf {
    fn spoil<T: Send + 'static>(future: Boxed<T>) -> Boxed<T> {
        struct OnAnotherTask<T>(Spawn<Boxed<T>>);

        impl<T> Future for OnAnotherTask<T> {
            type Item = T;
            type Error = KvsError;

            fn poll(&mut self) -> Poll<T, KvsError> {
                self.0
                    .poll_future_notify(&NotifyHandle::from(Arc::new(NoWake)), 0)
            }
        }

        Box::new(OnAnotherTask(executor::spawn(future)))
    }
}

/// A client that sends the previous `get` instead of each `get` but the first.
pub type AnswersWithTheNeighboursReply = Faulty<OffByOne>;

#[derive(Clone, Default)]
pub struct OffByOne(Arc<Mutex<Option<Request>>>);

impl Fault for OffByOne {
    fn request(&self, request: Request) -> Request {
        let mut before = self.0.lock().unwrap();
        match (&request, before.replace(request.clone())) {
            (Request::Get { .. }, Some(neighbour @ Request::Get { .. })) => neighbour,
            _ => request,
        }
    }

    fn spoil<T: Send + 'static>(future: Boxed<T>) -> Boxed<T> {
        future
    }
}

/// A client whose futures wake their task whenever they are not ready.
pub type BusyLoops = Faulty<Busy>;

#[derive(Clone, Default)]
pub struct Busy;

impl Fault for Busy {
    fn spoil<T: Send + 'static>(mut future: Boxed<T>) -> Boxed<T> {
        Box::new(future::poll_fn(move || {
            let poll = future.poll();
            if let Ok(Async::NotReady) = poll {
                task::current().notify();
            }
            poll
        }))
    }
}

/// A client whose futures stay pending when the connection is closed.
pub type SwallowsAClose = Faulty<Hopeful>;

#[derive(Clone, Default)]
pub struct Hopeful;

impl Fault for Hopeful {
    fn spoil<T: Send + 'static>(future: Boxed<T>) -> Boxed<T> {
        Box::new(future.or_else(|error| match error {
            KvsError::Connection { .. } => future::Either::A(future::empty()),
            other => future::Either::B(future::err(other)),
        }))
    }
}

/// A client that leaks a future that is dropped before it completes.
pub type LeaksASlot = Faulty<Forgetful>;

#[derive(Clone, Default)]
pub struct Forgetful;

impl Fault for Forgetful {
    fn spoil<T: Send + 'static>(future: Boxed<T>) -> Boxed<T> {
        struct Forgets<T>(Option<Boxed<T>>);

        impl<T> Future for Forgets<T> {
            type Item = T;
            type Error = KvsError;

            fn poll(&mut self) -> Poll<T, KvsError> {
                let future = self.0.as_mut().expect("polled after completion");
                let poll = future.poll();
                if !matches!(poll, Ok(Async::NotReady)) {
                    self.0 = None;
                }
                poll
            }
        }

        impl<T> Drop for Forgets<T> {
            fn drop(&mut self) {
                mem::forget(self.0.take());
            }
        }

        Box::new(Forgets(Some(future)))
    }
}
