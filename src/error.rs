//! What can go wrong, told to the person who has to do something about it.

use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::names::EngineKind;
use crate::protocol::{ErrorCode, Kind, Response};

/// The result of everything in this crate that can fail.
pub type Result<T> = std::result::Result<T, KvsError>;

/// Every error of this crate.
///
/// Each error prints as a single line that says what happened, to which file, key or address, and
/// if possible, what to do. The line is complete: it contains the message of the
/// [`source`](Error::source). Programs that need the [`io::Error`] itself find it there. A program
/// that prints the whole chain prints that message twice.
///
/// The type is `Clone` because one broken connection fails every request that was waiting on it.
///
/// The operator `?` converts it to `Box<dyn Error + Send + Sync>` and to the error types that take
/// any standard error, such as those of `anyhow`, `eyre` and `failure`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum KvsError {
    /// The key to be removed is not there.
    KeyNotFound,

    /// The operating system refused something.
    Io {
        /// What was being done, to which file or address: completes "cannot …".
        action: String,
        /// The system's answer.
        source: Arc<io::Error>,
    },

    /// There is no room on the disk, or no more of it for this user.
    StorageFull {
        /// What was being done, to which file: completes "cannot …".
        action: String,
        /// The system's answer.
        source: Arc<io::Error>,
    },

    /// The data directory already has a user.
    Locked {
        /// The data directory.
        dir: PathBuf,
    },

    /// The data directory holds the data of another engine.
    WrongEngine {
        /// The data directory.
        dir: PathBuf,
        /// The engine that wrote it.
        found: EngineKind,
        /// The engine that was asked for.
        asked: EngineKind,
    },

    /// A store wrote to a directory while it was being verified.
    Changed {
        /// The directory.
        dir: PathBuf,
    },

    /// What is on disk is not what was written there.
    Damaged {
        /// The damaged file.
        file: PathBuf,
        /// Where the damaged record or header begins, in bytes from the start of the file.
        offset: u64,
        /// What is wrong with it.
        reason: String,
    },

    /// A file was written by a version of kvs that this one does not know.
    UnknownVersion {
        /// The file.
        file: PathBuf,
        /// The version that its header names.
        found: u32,
        /// The version that this crate reads and writes.
        supported: u32,
    },

    /// A key or a value is longer than a record can hold, or a request than a frame.
    TooLarge {
        /// `"key"`, `"value"` or `"request"`.
        what: &'static str,
        /// Its length in bytes.
        len: usize,
        /// The limit in bytes.
        max: usize,
    },

    /// A token for authentication cannot be used.
    BadToken {
        /// Why not, and what to do.
        reason: String,
    },

    /// Only this machine may connect to a server that wants no token.
    Unprotected {
        /// The address that was asked for.
        addr: SocketAddr,
    },

    /// A thread pool of no threads would never run a job.
    NoThreads,

    /// The engine gave a request up: the job that worked on it panicked, or a write before it
    /// left the log in an unknown state.
    EngineStopped {
        /// Why, as far as it is known.
        reason: String,
    },

    /// sled failed.
    #[cfg(feature = "sled")]
    Sled(sled::Error),

    /// A value in the sled database is not UTF-8, so this crate did not write it.
    NotUtf8 {
        /// The key.
        key: String,
    },

    /// No connection could be made.
    Connect {
        /// The address that was tried.
        addr: SocketAddr,
        /// The system's answer.
        source: Arc<io::Error>,
    },

    /// A connection that had been made failed, and with it every request still waiting on it.
    Connection {
        /// The address of the server.
        addr: SocketAddr,
        /// What broke it.
        cause: ConnectionError,
    },

    /// The server answered with an error that is not one of the above.
    Server {
        /// The server's code, for programs.
        code: ErrorCode,
        /// The server's own words.
        message: String,
    },
}

impl KvsError {
    /// For `map_err`: [`KvsError::Io`], or [`KvsError::StorageFull`] where it is that, with the
    /// words that complete "cannot …".
    pub fn io(action: impl fmt::Display) -> impl FnOnce(io::Error) -> KvsError {
        move |source| {
            let action = action.to_string();
            let source = Arc::new(source);
            match source.kind() {
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                    KvsError::StorageFull { action, source }
                }
                _ => KvsError::Io { action, source },
            }
        }
    }
}

impl fmt::Display for KvsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KvsError::KeyNotFound => f.write_str("Key not found"),
            KvsError::Io { action, source } => write!(f, "cannot {action}: {source}"),
            KvsError::StorageFull { action, source } => write!(
                f,
                "cannot {action}: {source}; free some space there, reads still work"
            ),
            KvsError::Locked { dir } => write!(
                f,
                "{dir:?} is in use by another process or another store: stop that one first, or \
                 choose another directory"
            ),
            KvsError::WrongEngine { dir, found, asked } => write!(
                f,
                "{dir:?} was written by the engine {found}, not by {asked}: choose {found}, or \
                 another directory"
            ),
            KvsError::Changed { dir } => write!(
                f,
                "{dir:?} was changed while it was being read: stop the server that uses it, and try again"
            ),
            KvsError::Damaged {
                file,
                offset,
                reason,
            } => write!(
                f,
                "{file:?} is damaged at byte {offset}: {reason}; nothing was changed, kvs-server \
                 --verify shows the damage and --repair saves the sound records"
            ),
            KvsError::UnknownVersion {
                file,
                found,
                supported,
            } => write!(
                f,
                "{file:?} has format version {found}, and this kvs reads version {supported}: use \
                 the kvs that wrote it"
            ),
            KvsError::TooLarge { what, len, max } => write!(
                f,
                "the {what} is {len} bytes long, and at most {max} are allowed"
            ),
            KvsError::BadToken { reason } => {
                write!(f, "the token for authentication cannot be used: {reason}")
            }
            KvsError::Unprotected { addr } => write!(
                f,
                "refusing to listen on {addr} without a token: anyone could connect; listen \
                 on 127.0.0.1, or give a token"
            ),
            KvsError::NoThreads => f.write_str("a thread pool needs at least one thread"),
            KvsError::EngineStopped { reason } => {
                write!(
                    f,
                    "the engine stopped before this request was done: {reason}"
                )
            }
            #[cfg(feature = "sled")]
            KvsError::Sled(source) => write!(f, "sled: {source}"),
            KvsError::NotUtf8 { key } => {
                write!(
                    f,
                    "the value of key {key:?} in the sled database is not UTF-8"
                )
            }
            KvsError::Connect { addr, source } => write!(
                f,
                "cannot connect to {addr}: {source}; is kvs-server running there?"
            ),
            KvsError::Connection { addr, cause } => {
                write!(f, "the connection to {addr} failed: {cause}")
            }
            KvsError::Server { code, message } => {
                write!(f, "the server refused the request: {message} ({code})")
            }
        }
    }
}

impl Error for KvsError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            // This returns the error and not its `Arc`, so that `downcast_ref::<io::Error>` finds
            // it.
            KvsError::Io { source, .. }
            | KvsError::StorageFull { source, .. }
            | KvsError::Connect { source, .. } => Some(&**source),
            #[cfg(feature = "sled")]
            KvsError::Sled(source) => Some(source),
            KvsError::Connection { cause, .. } => Some(cause),
            _ => None,
        }
    }
}

/// Converts an error that has no further context, for `?`. If the file or the address is known, use
/// [`KvsError::io`], which names it.
impl From<io::Error> for KvsError {
    fn from(error: io::Error) -> KvsError {
        KvsError::io("complete an I/O operation")(error)
    }
}

#[cfg(feature = "sled")]
impl From<sled::Error> for KvsError {
    fn from(error: sled::Error) -> KvsError {
        KvsError::Sled(error)
    }
}

/// The error that ended a client's connection, or a violation of the protocol on it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ConnectionError {
    /// The socket failed.
    Io(Arc<io::Error>),

    /// The peer closed the connection while an answer was due.
    Closed,

    /// The peer closed the connection in the middle of a frame.
    Truncated,

    /// A frame is longer than this side takes.
    FrameTooLong {
        /// Its length in bytes, without the length prefix.
        len: usize,
        /// The limit in bytes.
        max: usize,
    },

    /// A frame's bytes are not JSON, or not JSON of the expected form.
    BadFrame(String),

    /// The reply answers another kind of request.
    WrongReply {
        /// The kind of reply that was due.
        expected: Kind,
        /// The kind that arrived.
        got: Kind,
    },

    /// A reply arrived when none was due.
    UnexpectedReply,

    /// The server closed the connection, and said why.
    Dismissed {
        /// The reason, for programs.
        code: ErrorCode,
        /// A sentence, for people.
        message: String,
    },

    /// Nobody drives the connection any more: the runtime that did has shut down.
    Abandoned,
}

impl ConnectionError {
    /// What it means that a reply arrived when none was due.
    pub(crate) fn unexpected(reply: Response) -> ConnectionError {
        match reply {
            Response::Err { code, message } => ConnectionError::Dismissed { code, message },
            _ => ConnectionError::UnexpectedReply,
        }
    }
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

impl From<serde_json::Error> for ConnectionError {
    fn from(error: serde_json::Error) -> ConnectionError {
        // It may quote the frame, all of it.
        ConnectionError::BadFrame(error.to_string().chars().take(200).collect())
    }
}
