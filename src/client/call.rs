//! A request on its way from a handle to the driver.

use std::net::SocketAddr;

use bytes::Bytes;
use futures::sync::oneshot;

use crate::error::{ConnectionError, KvsError, Result};
use crate::protocol::{Kind, Response};

/// A request on its way to the driver.
#[derive(Debug)]
pub(super) struct Call {
    /// The request as JSON.
    pub(super) body: Bytes,
    /// The kind of reply that is due.
    pub(super) kind: Kind,
    /// Sends the reply to the future of the request.
    pub(super) reply: oneshot::Sender<Result<Response>>,
}

/// Returns the error for requests whose driver is gone.
pub(super) fn abandoned(addr: SocketAddr) -> KvsError {
    KvsError::Connection {
        addr,
        cause: ConnectionError::Abandoned,
    }
}
