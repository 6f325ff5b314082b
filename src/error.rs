//! What can go wrong, told to the person who has to do something about it.

// `#[derive(Fail)]` writes its impls inside a function, which today's compiler dislikes.
#![allow(non_local_definitions)]

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use failure::Fail;

use crate::engine::EngineKind;
use crate::protocol::{Kind, Response};

/// The result of everything in this crate that can fail.
pub type Result<T> = std::result::Result<T, KvsError>;

/// Every error of this crate.
///
/// Each one prints as a single line that says what happened, to which file, key or address, and
/// where it can, what to do. It is `Clone` because one broken connection fails every request that
/// was waiting on it.
#[derive(Debug, Clone, Fail)]
#[non_exhaustive]
pub enum KvsError {
    /// The key to be removed is not there.
    #[fail(display = "Key not found")]
    KeyNotFound,

    /// The operating system refused something.
    #[fail(display = "cannot {}: {}", action, source)]
    Io {
        /// What was being done, to which file or address: completes "cannot …".
        action: String,
        /// The system's answer.
        source: Arc<io::Error>,
    },

    /// There is no room on the disk, or no more of it for this user.
    #[fail(
        display = "cannot {}: {}; make room there, reading goes on meanwhile",
        action, source
    )]
    StorageFull {
        /// What was being done, to which file: completes "cannot …".
        action: String,
        /// The system's answer.
        source: Arc<io::Error>,
    },

    /// The data directory already has a user.
    #[fail(
        display = "{:?} is in use by another process or another store: stop that one first, or choose another directory",
        dir
    )]
    Locked {
        /// The data directory.
        dir: PathBuf,
    },

    /// The data directory holds the data of another engine.
    #[fail(
        display = "{:?} was written by the engine {}, not by {}: choose --engine {}, or another directory",
        dir, found, asked, found
    )]
    WrongEngine {
        /// The data directory.
        dir: PathBuf,
        /// The engine that wrote it.
        found: EngineKind,
        /// The engine that was asked for.
        asked: EngineKind,
    },

    /// The directory to be looked over holds no log.
    #[fail(
        display = "{:?} is no data directory of the engine kvs, and no other can be looked over: name one with --data-dir",
        dir
    )]
    NoLog {
        /// The directory.
        dir: PathBuf,
    },

    /// A store wrote to a directory while it was being looked over.
    #[fail(
        display = "{:?} was changed while it was being read: stop the server that uses it, and try again",
        dir
    )]
    Changed {
        /// The directory.
        dir: PathBuf,
    },

    /// A directory that was looked over is damaged.
    #[fail(
        display = "{:?} is damaged in {} place(s): kvs-server --repair saves what is sound",
        dir, places
    )]
    Unsound {
        /// The directory.
        dir: PathBuf,
        /// How many damaged places there are.
        places: usize,
    },

    /// What is on disk is not what was written there.
    #[fail(
        display = "{:?} is damaged at byte {}: {}; nothing was changed, kvs-server --verify tells more and --repair saves what is sound",
        file, offset, reason
    )]
    Damaged {
        /// The damaged file.
        file: PathBuf,
        /// Where the damaged record or header begins, in bytes from the start of the file.
        offset: u64,
        /// What is wrong with it.
        reason: String,
    },

    /// A file was written by a version of kvs that this one does not know.
    #[fail(
        display = "{:?} has format version {}, and this kvs reads version {}: use the kvs that wrote it",
        file, found, supported
    )]
    UnknownVersion {
        /// The file.
        file: PathBuf,
        /// The version that its header names.
        found: u32,
        /// The version that this crate reads and writes.
        supported: u32,
    },

    /// A key or a value is longer than a record can hold, or a request than a frame.
    #[fail(
        display = "the {} is {} bytes long, and at most {} are allowed",
        what, len, max
    )]
    TooLarge {
        /// `"key"`, `"value"` or `"request"`.
        what: &'static str,
        /// Its length in bytes.
        len: usize,
        /// The limit in bytes.
        max: usize,
    },

    /// A token for authentication cannot be used.
    #[fail(display = "the token for authentication cannot be used: {}", reason)]
    BadToken {
        /// Why not, and what to do.
        reason: String,
    },

    /// Only this machine may connect to a server that wants no token.
    #[fail(
        display = "anybody could connect to {} and nobody would need a token: listen on 127.0.0.1, or give a file with a token (--auth-token-file)",
        addr
    )]
    Unprotected {
        /// The address that was asked for.
        addr: SocketAddr,
    },

    /// A thread pool of no threads would never run a job.
    #[fail(display = "a thread pool needs at least one thread")]
    NoThreads,

    /// The engine gave a request up: the job that worked on it panicked, or a write before it
    /// left the log in an unknown state.
    #[fail(
        display = "the engine stopped before this request was done: {}",
        reason
    )]
    EngineStopped {
        /// Why, as far as it is known.
        reason: String,
    },

    /// sled failed.
    #[fail(display = "sled: {}", _0)]
    Sled(sled::Error),

    /// A value in the sled database is not UTF-8, so this crate did not write it.
    #[fail(
        display = "the value of key {:?} in the sled database is not UTF-8",
        key
    )]
    NotUtf8 {
        /// The key.
        key: String,
    },

    /// No connection could be made.
    #[fail(
        display = "cannot connect to {}: {}; is kvs-server running there?",
        addr, source
    )]
    Connect {
        /// The address that was tried.
        addr: SocketAddr,
        /// The system's answer.
        source: Arc<io::Error>,
    },

    /// A connection that had been made failed, and with it every request still waiting on it.
    #[fail(display = "the connection to {} failed: {}", addr, cause)]
    Connection {
        /// The address of the server.
        addr: SocketAddr,
        /// What broke it.
        cause: ConnectionError,
    },

    /// The server answered with an error that is not one of the above.
    #[fail(display = "the server refused the request: {} ({})", message, code)]
    Server {
        /// The server's code, one of those in `docs/protocol.md` or a newer one.
        code: String,
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

impl From<sled::Error> for KvsError {
    fn from(error: sled::Error) -> KvsError {
        KvsError::Sled(error)
    }
}

/// What ended a connection, or broke the protocol on it. Seen from either side.
#[derive(Debug, Clone, Fail)]
#[non_exhaustive]
pub enum ConnectionError {
    /// The socket failed.
    #[fail(display = "{}", _0)]
    Io(Arc<io::Error>),

    /// The peer closed the connection while an answer was due.
    #[fail(display = "closed by the peer")]
    Closed,

    /// The peer closed the connection in the middle of a frame.
    #[fail(display = "closed by the peer in the middle of a frame")]
    Truncated,

    /// A frame is longer than this side takes.
    #[fail(display = "a frame of {} bytes, and at most {} are allowed", len, max)]
    FrameTooLong {
        /// Its length in bytes, without the length prefix.
        len: usize,
        /// The limit in bytes.
        max: usize,
    },

    /// A frame's bytes are not JSON, or not JSON of the expected form.
    #[fail(display = "a frame that is not understood: {}", _0)]
    BadFrame(String),

    /// The reply answers another kind of request.
    #[fail(
        display = "a reply of the wrong kind: expected {}, got {}",
        expected, got
    )]
    WrongReply {
        /// The kind of reply that was due.
        expected: Kind,
        /// The kind that arrived.
        got: Kind,
    },

    /// A reply arrived when none was due.
    #[fail(display = "a reply that nobody asked for")]
    UnexpectedReply,

    /// The server closed the connection, and said why.
    #[fail(display = "closed by the server: {} ({})", message, code)]
    Dismissed {
        /// One of [`code`](crate::protocol::code), or of a later version.
        code: String,
        /// A sentence, for people.
        message: String,
    },

    /// The server has as many connections as it may.
    #[fail(display = "too many connections, try again later")]
    TooManyConnections,

    /// The server's connections hold as much memory as they may.
    #[fail(display = "the server has no memory to spare, try again later")]
    Overloaded,

    /// The peer took too long to finish a frame.
    #[fail(display = "a frame that took too long to arrive")]
    TooSlow,

    /// The server wants a token first.
    #[fail(
        display = "the server wants a token before any other request (kvs-client takes it from --auth-token-file or KVS_AUTH_TOKEN)"
    )]
    NoToken,

    /// The token is not the server's.
    #[fail(display = "the token is not the right one")]
    WrongToken,

    /// Nobody drives the connection any more: the runtime that did has shut down.
    #[fail(display = "the runtime that drove it has shut down")]
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
