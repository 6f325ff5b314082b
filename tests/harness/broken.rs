//! Clients that each have one mistake, and one that has none.
//!
//! They are built on the library's [`Connection`], as the variants are, so they need no feature.

use std::mem;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use futures::executor::{self, Notify, NotifyHandle, Spawn};
use futures::{Async, Future, Poll, Stream, future, stream, task, try_ready};
use kvs::client::connection::Connection;
use kvs::client::{Client, Pages};
use kvs::protocol::{Request, Response};
use kvs::{KvsError, Token};

type Boxed<T> = Box<dyn Future<Item = T, Error = KvsError> + Send>;
type Pairs = Vec<(String, String)>;
type BoxedScan = Box<dyn Stream<Item = (String, String), Error = KvsError> + Send>;

/// The mistake of a client, which changes its requests, its futures or its scans.
pub trait Fault: Clone + Default + Send + 'static {
    fn request(&self, request: Request) -> Request {
        request
    }

    fn spoil<T: Send + 'static>(future: Boxed<T>) -> Boxed<T> {
        future
    }

    fn spoil_connect<T: Send + 'static>(future: Boxed<T>) -> Boxed<T> {
        future
    }

    fn scan(client: &Faulty<Self>, prefix: String) -> BoxedScan {
        pairs(client.pages(prefix))
    }
}

/// Returns the pairs of `pages`, one by one.
fn pairs(pages: impl Stream<Item = Pairs, Error = KvsError> + Send + 'static) -> BoxedScan {
    Box::new(pages.map(stream::iter_ok).flatten())
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

    fn pages(&self, prefix: String) -> impl Stream<Item = Pairs, Error = KvsError> + use<F> {
        let client = self.clone();
        stream::unfold(Pages::new(prefix), move |mut pages| {
            let page = client.exchange(pages.request()?, Response::into_page);
            Some(page.and_then(move |page| Ok((pages.receive(page)?, pages))))
        })
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

    fn scan(
        &mut self,
        prefix: String,
    ) -> impl Stream<Item = (String, String), Error = KvsError> + Send + use<F> {
        F::scan(self, prefix)
    }
}

/// A client without a mistake.
pub type Sound = Faulty<NoFault>;

#[derive(Clone, Default)]
pub struct NoFault;

impl Fault for NoFault {}

/// A client that polls each future and each scan once before it returns it.
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

    fn scan(client: &Faulty<Eager>, prefix: String) -> BoxedScan {
        let mut pairs = executor::spawn(pairs(client.pages(prefix)));
        // This sends the request. A peer that did not expect it may have closed the connection, so
        // the result can be an error.
        let _ = pairs.poll_stream_notify(&NotifyHandle::from(Arc::new(NoWake)), 0);
        pairs.into_inner()
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

/// A client whose scans ask for a page when the page before arrives.
pub type AsksAhead = Faulty<Ahead>;

#[derive(Clone, Default)]
pub struct Ahead;

impl Fault for Ahead {
    fn scan(client: &Faulty<Ahead>, prefix: String) -> BoxedScan {
        let mut pages = client.pages(prefix);
        let mut ahead = None;
        let pages = stream::poll_fn(move || {
            let page = match ahead.take() {
                Some(page) => page,
                None => try_ready!(pages.poll()),
            };
            if let Async::Ready(page) = pages.poll()? {
                ahead = Some(page);
            }
            Ok(Async::Ready(page))
        });
        pairs(pages)
    }
}

/// A client whose scans end with the first page that is empty.
pub type EndsAtAnEmptyPage = Faulty<NotEmpty>;

#[derive(Clone, Default)]
pub struct NotEmpty;

impl Fault for NotEmpty {
    fn scan(client: &Faulty<NotEmpty>, prefix: String) -> BoxedScan {
        let pages = client.pages(prefix);
        pairs(pages.take_while(|pairs| Ok(!pairs.is_empty())))
    }
}

/// A client whose scans ask for a page again after an error.
pub type AsksAgain = Faulty<Stubborn>;

#[derive(Clone, Default)]
pub struct Stubborn;

impl Fault for Stubborn {
    fn scan(client: &Faulty<Stubborn>, prefix: String) -> BoxedScan {
        let client = client.clone();
        let pages = stream::unfold(Pages::new(prefix), move |mut pages| {
            let page = client.exchange(pages.request()?, Response::into_page);
            Some(page.then(move |page| {
                let pairs = match page.and_then(|page| pages.receive(page)) {
                    Ok(pairs) => pairs.into_iter().map(Ok).collect(),
                    Err(error) => vec![Err(error)],
                };
                Ok::<_, KvsError>((pairs, pages))
            }))
        });
        Box::new(pages.map(stream::iter_result).flatten())
    }
}

/// A client that continues a scan that was dropped when it should begin another one.
pub type ContinuesADroppedScan = Faulty<Thrifty>;

#[derive(Clone, Default)]
pub struct Thrifty(Arc<Mutex<Option<BoxedScan>>>);

impl Fault for Thrifty {
    fn scan(client: &Faulty<Thrifty>, prefix: String) -> BoxedScan {
        struct Saved(Option<BoxedScan>, Thrifty);

        impl Stream for Saved {
            type Item = (String, String);
            type Error = KvsError;

            fn poll(&mut self) -> Poll<Option<(String, String)>, KvsError> {
                self.0.as_mut().expect("it was dropped").poll()
            }
        }

        impl Drop for Saved {
            fn drop(&mut self) {
                *self.1.0.lock().unwrap() = self.0.take();
            }
        }

        let dropped = client.fault.0.lock().unwrap().take();
        let scan = dropped.unwrap_or_else(|| pairs(client.pages(prefix)));
        Box::new(Saved(Some(scan), client.fault.clone()))
    }
}
