//! The reasons why a server refuses a request or a connection.

use std::fmt;

use crate::error::ConnectionError;
use crate::protocol::{ErrorCode, Response};

/// The reason for a refusal, which the client receives as an [`ErrorCode`] and a message.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The peer broke the protocol.
    Protocol(ConnectionError),
    /// The server has as many connections as it may.
    TooManyConnections,
    /// The server's connections hold as much memory as they may.
    Overloaded,
    /// The peer took too long to finish a frame.
    TooSlow,
    /// The server wants a token first.
    NoToken,
    /// The token is not the server's.
    WrongToken,
}

impl Refusal {
    /// Returns whether the server closes the connection after it. After a whole frame that holds no
    /// request, the connection continues with the next frame.
    pub(super) fn ends_connection(&self) -> bool {
        self.code() != ErrorCode::BadRequest
    }

    fn code(&self) -> ErrorCode {
        match self {
            Refusal::Protocol(ConnectionError::FrameTooLong { .. }) => ErrorCode::FrameTooLong,
            Refusal::Protocol(_) => ErrorCode::BadRequest,
            Refusal::TooManyConnections => ErrorCode::TooManyConnections,
            Refusal::Overloaded => ErrorCode::Overloaded,
            Refusal::TooSlow => ErrorCode::TooSlow,
            Refusal::NoToken | Refusal::WrongToken => ErrorCode::Unauthorized,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::Protocol(error) => return error.fmt(f),
            Refusal::TooManyConnections => "too many connections, try again later",
            Refusal::Overloaded => "the server has no memory to spare, try again later",
            Refusal::TooSlow => "a frame took too long to arrive",
            Refusal::NoToken => "the server wants a token before any other request",
            Refusal::WrongToken => "the token is wrong",
        })
    }
}

impl From<ConnectionError> for Refusal {
    fn from(error: ConnectionError) -> Refusal {
        Refusal::Protocol(error)
    }
}

impl From<Refusal> for Response {
    fn from(refusal: Refusal) -> Response {
        Response::error(refusal.code(), refusal)
    }
}
