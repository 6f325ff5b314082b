//! The errors of this crate, and the messages that they print.

mod connection;

use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

pub use self::connection::ConnectionError;
use crate::names::EngineKind;
use crate::protocol::kind::ErrorCode;

/// The result of a function of this crate that can fail.
pub type Result<T> = std::result::Result<T, KvsError>;

/// An error of this crate.
///
/// Each error prints as a single line. It names the failure, the file, key or address, and if
/// possible, a remedy. The line is complete: it contains the message of the
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
    /// The key to remove does not exist.
    KeyNotFound,

    /// The operating system reported an error.
    Io {
        /// The failed action, with its file or address. It completes "cannot …".
        action: String,
        /// The error of the system.
        source: Arc<io::Error>,
    },

    /// The disk is full, or the quota of the user is used up.
    StorageFull {
        /// The failed action, with its file. It completes "cannot …".
        action: String,
        /// The error of the system.
        source: Arc<io::Error>,
    },

    /// Another store uses the data directory.
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
        /// The engine that tried to open it.
        asked: EngineKind,
    },

    /// The directory has no log that could be verified or repaired.
    NoLog {
        /// The directory.
        dir: PathBuf,
    },

    /// A store wrote to a directory while it was being verified.
    Changed {
        /// The directory.
        dir: PathBuf,
    },

    /// A file is not as it was written.
    Damaged {
        /// The damaged file.
        file: PathBuf,
        /// The start of the damaged record or header, in bytes from the start of the file.
        offset: u64,
        /// A description of the damage.
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
        /// The problem, and a remedy.
        reason: String,
    },

    /// A server without a token would listen on an address that other machines can reach.
    Unprotected {
        /// The address.
        addr: SocketAddr,
    },

    /// The number of threads for a pool is 0, so the pool would never run a job.
    NoThreads,

    /// The engine gave up a request: the job of the request panicked, or an earlier write left the
    /// log in an unknown state.
    EngineStopped {
        /// The cause, as far as it is known.
        reason: String,
    },

    /// A cursor is not one of this store: another store made it, a power cut has taken its write,
    /// or a repair has renumbered the pairs.
    BadCursor {
        /// The cursor, which may be as long as a frame. The message has its beginning.
        cursor: String,
    },

    /// The engine cannot list its pairs.
    CannotScan,

    /// sled failed.
    Sled {
        /// The error of sled, a `sled::Error`.
        source: Arc<dyn Error + Send + Sync>,
    },

    /// A key or a value in the sled database is not UTF-8, so another program wrote it.
    NotUtf8 {
        /// The key. Bytes that are not UTF-8 are replaced by `�`.
        key: String,
    },

    /// The cluster did not do a request, or not in time. It was not done.
    Cluster {
        /// The cause, with the node.
        reason: String,
    },

    /// A write was sent to the cluster, and it is unknown whether it was done, or will stay done.
    OutcomeUnknown {
        /// The cause, with the node.
        reason: String,
    },

    /// The client could not connect.
    Connect {
        /// The address of the server.
        addr: SocketAddr,
        /// The error of the system.
        source: Arc<io::Error>,
    },

    /// An established connection failed, and so did every pending request on it.
    Connection {
        /// The address of the server.
        addr: SocketAddr,
        /// The cause.
        cause: ConnectionError,
    },

    /// The server replied with an error that has no variant of its own.
    Server {
        /// The code, for programs.
        code: ErrorCode,
        /// The message of the server, for people.
        message: String,
    },
}

impl KvsError {
    /// Returns a function for `map_err`, which wraps an error of the system as [`KvsError::Io`], or
    /// as [`KvsError::StorageFull`] if the disk is full. `action` completes "cannot …".
    #[doc(hidden)]
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

    /// Returns the error of a request whose job panicked.
    #[cfg(feature = "server")]
    pub(crate) fn job_panicked() -> KvsError {
        KvsError::EngineStopped {
            reason: "its job panicked".to_owned(),
        }
    }
}

impl fmt::Display for KvsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KvsError::KeyNotFound => f.write_str("Key not found"),
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
            KvsError::BadCursor { cursor } => {
                let start: String = cursor.chars().take(100).collect();
                write!(
                    f,
                    "{start:?} is not a cursor of this store: begin the scan again"
                )
            }
            KvsError::CannotScan => f.write_str("this engine cannot list its pairs"),
            KvsError::NoThreads => f.write_str("a thread pool needs at least one thread"),
            KvsError::EngineStopped { reason } => {
                write!(
                    f,
                    "the engine stopped before this request was done: {reason}"
                )
            }
            KvsError::Sled { source } => write!(f, "sled: {source}"),
            KvsError::NotUtf8 { key } => {
                write!(
                    f,
                    "the key {key:?} in the sled database, or its value, is not UTF-8"
                )
            }
            KvsError::Cluster { reason } => write!(f, "the cluster: {reason}"),
            KvsError::OutcomeUnknown { reason } => write!(
                f,
                "the write may or may not be done: {reason}; read the key before you try again"
            ),
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
            KvsError::Io { .. }
            | KvsError::StorageFull { .. }
            | KvsError::Locked { .. }
            | KvsError::WrongEngine { .. }
            | KvsError::NoLog { .. }
            | KvsError::Changed { .. }
            | KvsError::Damaged { .. }
            | KvsError::UnknownVersion { .. } => self.fmt_of_files(f),
        }
    }
}

impl KvsError {
    /// Writes the message of an error about a file or a directory.
    fn fmt_of_files(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
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
            KvsError::NoLog { dir } => write!(
                f,
                "{dir:?} is not a data directory of the engine kvs: verify and repair work on \
                 those only"
            ),
            KvsError::Changed { dir } => write!(
                f,
                "{dir:?} was changed while it was being read: stop the server that uses it, and try \
                 again"
            ),
            KvsError::Damaged {
                file,
                offset,
                reason,
            } => write!(
                f,
                "{file:?} is damaged at byte {offset}: {reason}; nothing was changed, and a repair \
                 saves the sound records"
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
            _ => unreachable!("`fmt` has the messages of the other errors"),
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
            KvsError::Sled { source } => Some(&**source),
            KvsError::Connection { cause, .. } => Some(cause),
            _ => None,
        }
    }
}

/// Converts an error that has no further context, for `?`.
impl From<io::Error> for KvsError {
    fn from(error: io::Error) -> KvsError {
        KvsError::io("complete an I/O operation")(error)
    }
}
