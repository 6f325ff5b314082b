//! The blocking client as a [`Client`]: its futures do all their work in one poll.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use futures::{Future, Stream, future, stream};
use kvs::client::{Client, blocking};
use kvs::{KvsError, Token};

#[derive(Clone)]
pub struct Blocking(Arc<Mutex<blocking::KvsClient>>);

impl Client for Blocking {
    fn connect(addr: SocketAddr) -> impl Future<Item = Self, Error = KvsError> + Send {
        future::lazy(move || {
            let client = blocking::KvsClient::connect(addr)?;
            Ok(Blocking(Arc::new(Mutex::new(client))))
        })
    }

    fn get(
        &mut self,
        key: String,
    ) -> impl Future<Item = Option<String>, Error = KvsError> + Send + use<> {
        let client = Arc::clone(&self.0);
        future::lazy(move || client.lock().unwrap().get(key))
    }

    fn set(
        &mut self,
        key: String,
        value: String,
    ) -> impl Future<Item = (), Error = KvsError> + Send + use<> {
        let client = Arc::clone(&self.0);
        future::lazy(move || client.lock().unwrap().set(key, value))
    }

    fn remove(&mut self, key: String) -> impl Future<Item = (), Error = KvsError> + Send + use<> {
        let client = Arc::clone(&self.0);
        future::lazy(move || client.lock().unwrap().remove(key))
    }

    fn auth(&mut self, token: &Token) -> impl Future<Item = (), Error = KvsError> + Send + use<> {
        let (client, token) = (Arc::clone(&self.0), token.clone());
        future::lazy(move || client.lock().unwrap().auth(&token))
    }

    /// The scan of the blocking client is an iterator, which borrows the client. So it is not one
    /// of these, and has tests of its own.
    fn scan(
        &mut self,
        _: String,
    ) -> impl Stream<Item = (String, String), Error = KvsError> + Send + use<> {
        stream::once(Err(KvsError::CannotScan))
    }
}
