//! Clients of the server: the same one several times.
//!
//! [`blocking`] is where it begins, without futures. The others are handles to one shared
//! [`connection`], and differ in nothing but how they put its two futures together and what they
//! call the result. Each is a file of `variants/` and behind a feature of the same name. The futures
//! of `pinned` and `awaited` are those of the standard library, the others those of futures 0.1.

mod background;
pub mod blocking;
mod call;
pub mod connection;
mod driver;
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

use futures::Future;
#[cfg(any(feature = "awaited", feature = "pinned"))]
use futures03::compat::Compat;

pub use self::driver::IN_FLIGHT;
pub use self::queue::QUEUE;
use crate::error::KvsError;
use crate::token::Token;

/// What every variant of the client offers, whatever its futures are called. Those of the standard
/// library come boxed, as futures of 0.1.
///
/// It is for code that is to run with any of them, such as the tests; whoever has chosen one calls
/// its own methods, which are the same and show their types.
pub trait Client: Clone + Send + 'static {
    /// Connects to the server at `addr`.
    fn connect(addr: SocketAddr) -> impl Future<Item = Self, Error = KvsError> + Send + 'static;

    /// The value of `key`, or `None` where the key is not there.
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

    /// Removes `key`; [`KvsError::KeyNotFound`] where it is not there.
    fn remove(
        &mut self,
        key: String,
    ) -> impl Future<Item = (), Error = KvsError> + Send + 'static + use<Self>;

    /// Shows the server a token, where it wants one. That has to be the first request.
    fn auth(
        &mut self,
        token: &Token,
    ) -> impl Future<Item = (), Error = KvsError> + Send + 'static + use<Self>;
}

/// The methods of a variant are what the trait asks for, or become it by a function.
#[allow(unused_macros, reason = "without a feature there is no variant")]
macro_rules! impl_client {
    ($variant:ident) => {
        impl_client!($variant, std::convert::identity);
    };
    ($variant:ident, $into_01:path) => {
        impl Client for $variant::KvsClient {
            fn connect(addr: SocketAddr) -> impl Future<Item = Self, Error = KvsError> + Send {
                $into_01($variant::KvsClient::connect(addr))
            }

            fn get(
                &mut self,
                key: String,
            ) -> impl Future<Item = Option<String>, Error = KvsError> + Send + use<> {
                $into_01(self.get(key))
            }

            fn set(
                &mut self,
                key: String,
                value: String,
            ) -> impl Future<Item = (), Error = KvsError> + Send + use<> {
                $into_01(self.set(key, value))
            }

            fn remove(
                &mut self,
                key: String,
            ) -> impl Future<Item = (), Error = KvsError> + Send + use<> {
                $into_01(self.remove(key))
            }

            fn auth(
                &mut self,
                token: &Token,
            ) -> impl Future<Item = (), Error = KvsError> + Send + use<> {
                $into_01(self.auth(token))
            }
        }
    };
}

#[cfg(feature = "anon")]
impl_client!(anon);
#[cfg(feature = "boxed")]
impl_client!(boxed);
#[cfg(feature = "explicit")]
impl_client!(explicit);
#[cfg(feature = "manual")]
impl_client!(manual);
#[cfg(feature = "pinned")]
impl_client!(pinned, into_01);

/// The methods borrow the handle, and the trait's futures borrow nothing: each gets a clone to keep.
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
}

/// A std future as one of futures 0.1. That one may be moved between two polls, hence the box: it
/// moves without what is in it.
#[cfg(any(feature = "awaited", feature = "pinned"))]
fn into_01<F: std::future::Future>(future: F) -> Compat<Pin<Box<F>>> {
    Compat::new(Box::pin(future))
}
