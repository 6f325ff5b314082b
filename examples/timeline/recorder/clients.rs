//! The clients, with the states that their futures show.

use std::fmt::Debug;
use std::net::SocketAddr;
use std::sync::Arc;

use futures::{Future, Stream};
use kvs::KvsError;
use kvs::client::Client;

use super::broken;
use super::executor::{Shown, StateCell, lock};

/// The future of a `get`.
pub type Get = Box<dyn Future<Item = Option<String>, Error = KvsError> + Send>;

/// The stream of a `scan`.
pub type Scan = Box<dyn Stream<Item = (String, String), Error = KvsError> + Send>;

/// A client that can be recorded.
pub trait Watched: Sized + Send + 'static {
    /// The name of the client in its recordings.
    const NAME: &'static str;

    /// Connects to the server at `addr`.
    fn open(addr: SocketAddr) -> impl Future<Item = Self, Error = KvsError> + Send + 'static;

    /// Returns the future of a `get` and its size in bytes. The future writes its state to `cell`.
    fn watched_get(&mut self, key: &str, cell: &StateCell) -> (Get, usize);
}

/// Returns the stream of all pairs and its size in bytes.
pub fn watched_scan(client: &mut impl Client) -> (Scan, usize) {
    let scan = client.scan(String::new());
    let size = size_of_val(&scan);
    (Box::new(scan), size)
}

/// Makes a future show its state, now and after each poll.
pub(super) fn shown<F>(future: F, state: fn(&F) -> Option<String>, cell: &StateCell) -> Get
where
    F: Future<Item = Option<String>, Error = KvsError> + Send + 'static,
{
    *lock(cell) = state(&future);
    let cell = Arc::clone(cell);
    Box::new(Shown {
        future,
        state,
        cell,
    })
}

/// Returns the name after `before` in the debug output of a future.
pub(super) fn state(future: &impl Debug, before: &str) -> Option<String> {
    let text = format!("{future:?}");
    let (_, state) = text.split_once(before)?;
    let is_name = |c: char| c.is_alphanumeric();
    state.split(|c| !is_name(c)).next().map(str::to_owned)
}

/// Implements [`Watched`] for a client with futures of futures 0.1.
macro_rules! watched {
    ($client:ty, $name:literal, $state:expr) => {
        impl Watched for $client {
            const NAME: &'static str = $name;

            fn open(
                addr: SocketAddr,
            ) -> impl Future<Item = Self, Error = KvsError> + Send + 'static {
                <Self as Client>::connect(addr)
            }

            fn watched_get(&mut self, key: &str, cell: &StateCell) -> (Get, usize) {
                let get = self.get(key.to_owned());
                let size = size_of_val(&get);
                (shown(get, $state, cell), size)
            }
        }
    };
}

/// Returns a boxed future of a client that shows no state.
pub(super) fn stateless<F>(get: F) -> (Get, usize)
where
    F: Future<Item = Option<String>, Error = KvsError> + Send + 'static,
{
    let size = size_of_val(&get);
    (Box::new(get), size)
}

watched!(kvs::client::anon::KvsClient, "anon", |_| None);
watched!(kvs::client::boxed::KvsClient, "boxed", |_| None);
watched!(kvs::client::explicit::KvsClient, "explicit", |get| state(
    get, "state: "
));
watched!(kvs::client::manual::KvsClient, "manual", |get| state(
    get, "("
));

impl Watched for kvs::client::pinned::KvsClient {
    const NAME: &'static str = "pinned";

    fn open(addr: SocketAddr) -> impl Future<Item = Self, Error = KvsError> + Send + 'static {
        <Self as Client>::connect(addr)
    }

    fn watched_get(&mut self, key: &str, cell: &StateCell) -> (Get, usize) {
        use futures03::future::TryFutureExt;

        let get = self.get(key.to_owned());
        let size = size_of_val(&get);
        // The executor is one of futures 0.1. `compat` converts, and adds no step.
        let get = Box::pin(get).compat();
        (shown(get, |get| state(get.get_ref(), "("), cell), size)
    }
}

impl Watched for kvs::client::awaited::KvsClient {
    const NAME: &'static str = "awaited";

    fn open(addr: SocketAddr) -> impl Future<Item = Self, Error = KvsError> + Send + 'static {
        <Self as Client>::connect(addr)
    }

    fn watched_get(&mut self, key: &str, _: &StateCell) -> (Get, usize) {
        let size = size_of_val(&self.get(key.to_owned()));
        (Box::new(Client::get(self, key.to_owned())), size)
    }
}

/// Implements [`Watched`] for a broken client of the harness.
macro_rules! watched_broken {
    ($($client:ident: $name:literal,)*) => {
        $(impl Watched for broken::$client {
            const NAME: &'static str = $name;

            fn open(
                addr: SocketAddr,
            ) -> impl Future<Item = Self, Error = KvsError> + Send + 'static {
                <Self as Client>::connect(addr)
            }

            fn watched_get(&mut self, key: &str, _: &StateCell) -> (Get, usize) {
                stateless(self.get(key.to_owned()))
            }
        })*
    };
}

watched_broken! {
    Sound: "sound",
    SendsEagerly: "eager",
    LosesAWakeUp: "lost wake-up",
    AnswersWithTheNeighboursReply: "neighbour's reply",
    BusyLoops: "busy loop",
    SwallowsAClose: "swallowed close",
    LeaksASlot: "leaked place",
    AsksAhead: "asks ahead",
    EndsAtAnEmptyPage: "ends early",
    AsksAgain: "asks again",
    ContinuesADroppedScan: "old scan",
}
