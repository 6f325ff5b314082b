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
    pub(super) reply: oneshot::Sender<Result<Response>>,
}

/// What those get who wait for a driver that is gone.
pub(super) fn abandoned(addr: SocketAddr) -> KvsError {
    KvsError::Connection {
        addr,
        cause: ConnectionError::Abandoned,
    }
}
