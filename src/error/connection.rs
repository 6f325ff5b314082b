//! The errors of a connection.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::protocol::kind::{ErrorCode, Kind};

/// The error that ended a client's connection, or a violation of the protocol on it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ConnectionError {
    /// The socket failed.
    Io(Arc<io::Error>),

    /// The peer closed the connection while a reply was pending.
    Closed,

    /// The peer closed the connection in the middle of a frame.
    Truncated,

    /// A frame is longer than this side accepts.
    FrameTooLong {
        /// Its length in bytes, without the length prefix.
        len: usize,
        /// The limit in bytes.
        max: usize,
    },

    /// A frame's bytes are not JSON, or not JSON of the expected form.
    BadFrame(String),

    /// The reply is of another kind than the request.
    WrongReply {
        /// The kind of the request.
        expected: Kind,
        /// The kind of the reply.
        got: Kind,
    },

    /// A reply arrived although no request was pending.
    UnexpectedReply,

    /// The server closed the connection and gave a reason.
    Dismissed {
        /// The reason, for programs.
        code: ErrorCode,
        /// A sentence, for people.
        message: String,
    },

    /// The client's time limit for a request was over.
    #[non_exhaustive]
    TimedOut {
        /// The kind of the request whose reply the client waited for.
        request: Kind,
        /// The time limit.
        after: Duration,
    },

    /// The runtime that drove the connection has shut down.
    Abandoned,
}

impl fmt::Display for ConnectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConnectionError::Io(source) => source.fmt(f),
            ConnectionError::Closed => f.write_str("closed by the peer"),
            ConnectionError::Truncated => {
                f.write_str("closed by the peer in the middle of a frame")
            }
            ConnectionError::FrameTooLong { len, max } => {
                write!(f, "a frame of {len} bytes, and at most {max} are allowed")
            }
            ConnectionError::BadFrame(reason) => {
                write!(f, "an invalid frame: {reason}")
            }
            ConnectionError::WrongReply { expected, got } => {
                write!(
                    f,
                    "a reply of the wrong kind: expected {expected}, got {got}"
                )
            }
            ConnectionError::UnexpectedReply => f.write_str("a reply without a request"),
            ConnectionError::Dismissed { code, message } => {
                write!(f, "closed by the server: {message} ({code})")
            }
            ConnectionError::TimedOut { request, after } => {
                write!(
                    f,
                    "no reply to a request of kind {request} within {after:?}"
                )
            }
            ConnectionError::Abandoned => f.write_str("its runtime has shut down"),
        }
    }
}

impl Error for ConnectionError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            ConnectionError::Io(source) => Some(&**source),
            _ => None,
        }
    }
}

impl From<io::Error> for ConnectionError {
    fn from(error: io::Error) -> ConnectionError {
        ConnectionError::Io(Arc::new(error))
    }
}

/// For `tokio_serde_json`, which reports bad JSON as an error of the transport below it.
#[doc(hidden)]
impl From<serde_json::Error> for ConnectionError {
    fn from(error: serde_json::Error) -> ConnectionError {
        // The message may quote the whole frame.
        ConnectionError::BadFrame(error.to_string().chars().take(200).collect())
    }
}
