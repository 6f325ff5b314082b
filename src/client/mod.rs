//! The client of a server, written in several ways.
//!
//! The course begins with the [`blocking`] client, which has no futures. The other clients are
//! handles to one shared [`connection`]. They differ only in how they combine its two futures, and
//! in the type of the result. Each is a file in `variants/`, behind a feature of the same name.
//! `pinned` and `awaited` return futures of the standard library, and the others futures of futures
//! 0.1.
//!
//! # Time limits
//!
//! The futures have no time limit. Put one around them: `tokio::timer::Timeout` on tokio 0.1, and
//! `tokio::time::timeout` around std futures on tokio 1. A request whose limit is over may still
//! take effect. Its late reply is discarded, and the next request gets its own.
//! `examples/time_limits.rs` shows both. The [`blocking`] client has limits of its own.

mod background;
pub mod blocking;
mod call;
pub mod connection;
mod driver;
mod pages;
mod queue;

#[cfg(feature = "anon")]
#[path = "../../variants/anon.rs"]
pub mod anon;
#[cfg(feature = "awaited")]
#[path = "../../variants/awaited.rs"]
pub mod awaited;
#[cfg(feature = "boxed")]
#[path = "../../variants/boxed.rs"]
pub mod boxed;
#[cfg(feature = "explicit")]
#[path = "../../variants/explicit.rs"]
pub mod explicit;
#[cfg(feature = "manual")]
#[path = "../../variants/manual.rs"]
pub mod manual;
#[cfg(feature = "pinned")]
#[path = "../../variants/pinned.rs"]
pub mod pinned;

use std::net::SocketAddr;
#[cfg(any(feature = "awaited", feature = "pinned"))]
use std::pin::Pin;

use futures::{Future, Stream};
#[cfg(any(feature = "awaited", feature = "pinned"))]
use futures03::compat::Compat;

pub use self::driver::IN_FLIGHT;
pub use self::pages::{PAGE, Pages};
pub use self::queue::QUEUE;
use crate::error::KvsError;
use crate::token::Token;

/// The methods of every variant of the client, for code that runs with any of them, such as the
/// tests. Futures and streams of std are boxed and converted to futures 0.1.
///
/// If you have chosen one variant, call its own methods. They are the same, and show their types.
pub trait Client: Clone + Send + 'static {
    /// Connects to the server at `addr`.
    fn connect(addr: SocketAddr) -> impl Future<Item = Self, Error = KvsError> + Send + 'static;

    /// Returns the value of `key`, or `None` if the key does not exist.
    fn get(
        &mut self,
        key: String,
    ) -> impl Future<Item = Option<String>, Error = KvsError> + Send + 'static + use<Self>;

    /// Stores `value` under `key`.
    fn set(
        &mut self,
        key: String,
        value: String,
    ) -> impl Future<Item = (), Error = KvsError> + Send + 'static + use<Self>;

    /// Removes `key`. Fails with [`KvsError::KeyNotFound`] if the key does not exist.
    fn remove(
        &mut self,
        key: String,
    ) -> impl Future<Item = (), Error = KvsError> + Send + 'static + use<Self>;

    /// Shows the server a token. If the server wants one, this has to be the first request.
    fn auth(
        &mut self,
        token: &Token,
    ) -> impl Future<Item = (), Error = KvsError> + Send + 'static + use<Self>;

    /// Returns all pairs whose keys begin with `prefix`.
    fn scan(
        &mut self,
        prefix: String,
    ) -> impl Stream<Item = (String, String), Error = KvsError> + Send + 'static + use<Self>;
}

/// Implements [`Client`] for a type that has methods of the same names. The function `$into_01`
/// converts their futures to futures 0.1; if they are that already, it is `identity`. Readers who
/// write a client use it for theirs, see `examples/start`.
#[doc(hidden)]
#[macro_export]
macro_rules! impl_client {
    ($client:ty, $into_01:path) => {
        impl $crate::client::Client for $client {
            fn connect(
                addr: std::net::SocketAddr,
            ) -> impl futures::Future<Item = Self, Error = $crate::KvsError> + Send {
                $into_01(<$client>::connect(addr))
            }

            fn get(
                &mut self,
                key: String,
            ) -> impl futures::Future<Item = Option<String>, Error = $crate::KvsError> + Send + use<>
            {
                $into_01(self.get(key))
            }

            fn set(
                &mut self,
                key: String,
                value: String,
            ) -> impl futures::Future<Item = (), Error = $crate::KvsError> + Send + use<> {
                $into_01(self.set(key, value))
            }

            fn remove(
                &mut self,
                key: String,
            ) -> impl futures::Future<Item = (), Error = $crate::KvsError> + Send + use<> {
                $into_01(self.remove(key))
            }

            fn auth(
                &mut self,
                token: &$crate::Token,
            ) -> impl futures::Future<Item = (), Error = $crate::KvsError> + Send + use<> {
                $into_01(self.auth(token))
            }

            fn scan(
                &mut self,
                prefix: String,
            ) -> impl futures::Stream<Item = (String, String), Error = $crate::KvsError> + Send + use<>
            {
                $into_01(self.scan(prefix))
            }
        }
    };
}

#[cfg(feature = "anon")]
impl_client!(anon::KvsClient, std::convert::identity);
#[cfg(feature = "boxed")]
impl_client!(boxed::KvsClient, std::convert::identity);
#[cfg(feature = "explicit")]
impl_client!(explicit::KvsClient, std::convert::identity);
#[cfg(feature = "manual")]
impl_client!(manual::KvsClient, std::convert::identity);
#[cfg(feature = "pinned")]
impl_client!(pinned::KvsClient, into_01);

/// The methods that return futures borrow the handle, and the futures of the trait borrow nothing.
/// So each future owns a clone of the handle.
#[cfg(feature = "awaited")]
impl Client for awaited::KvsClient {
    fn connect(addr: SocketAddr) -> impl Future<Item = Self, Error = KvsError> + Send {
        into_01(awaited::KvsClient::connect(addr))
    }

    fn get(
        &mut self,
        key: String,
    ) -> impl Future<Item = Option<String>, Error = KvsError> + Send + use<> {
        let mut client = self.clone();
        into_01(async move { client.get(key).await })
    }

    fn set(
        &mut self,
        key: String,
        value: String,
    ) -> impl Future<Item = (), Error = KvsError> + Send + use<> {
        let mut client = self.clone();
        into_01(async move { client.set(key, value).await })
    }

    fn remove(&mut self, key: String) -> impl Future<Item = (), Error = KvsError> + Send + use<> {
        let mut client = self.clone();
        into_01(async move { client.remove(key).await })
    }

    fn auth(&mut self, token: &Token) -> impl Future<Item = (), Error = KvsError> + Send + use<> {
        let (mut client, token) = (self.clone(), token.clone());
        into_01(async move { client.auth(&token).await })
    }

    fn scan(
        &mut self,
        prefix: String,
    ) -> impl Stream<Item = (String, String), Error = KvsError> + Send + use<> {
        into_01(self.scan(prefix))
    }
}

/// Converts a std future or stream to one of futures 0.1. The latter may be moved between two
/// polls, so the former is in a box, which moves without its contents.
#[cfg(any(feature = "awaited", feature = "pinned"))]
fn into_01<T>(future_or_stream: T) -> Compat<Pin<Box<T>>> {
    Compat::new(Box::pin(future_or_stream))
}
