//! The kinds of requests and replies, and the codes of errors.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};

/// The kind of a request, and so of its reply, unless that is an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// Getting the value of a key.
    Get,
    /// Setting the value of a key.
    Set,
    /// Removing a key.
    Remove,
    /// Showing a token.
    Auth,
    /// Asking for statistics.
    Stats,
    /// Asking for a page of a scan.
    Scan,
}

#[cfg(feature = "server")]
impl Kind {
    /// Every kind, in the order of the variants.
    pub(crate) const ALL: [Kind; 6] = [
        Kind::Get,
        Kind::Set,
        Kind::Remove,
        Kind::Auth,
        Kind::Stats,
        Kind::Scan,
    ];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The reason why the server refuses a request or a connection. `docs/protocol.md` explains each
/// code.
///
/// In JSON it is a string, such as `"key_not_found"`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(from = "String")]
#[non_exhaustive]
pub enum ErrorCode {
    /// The key to remove does not exist.
    KeyNotFound,
    /// The frame holds no request. The connection stays open.
    BadRequest,
    /// The frame is too long. The server closes the connection after this reply.
    FrameTooLong,
    /// The key or the value is too long for the engine, or the reply for a frame.
    TooLarge,
    /// The record on the server's disk is damaged.
    Damaged,
    /// The server's disk is full. Reads succeed, and writes do when there is room again.
    StorageFull,
    /// The server's disk failed.
    Io,
    /// The server has as many connections as it may. It closes this one after this reply.
    TooManyConnections,
    /// The server has no memory to spare. It closes the connection after this reply.
    Overloaded,
    /// A frame took too long to arrive. The server closes the connection after this reply.
    TooSlow,
    /// The token is missing or wrong. The server closes the connection after this reply.
    Unauthorized,
    /// The cursor of a scan is not one of this store. The scan has to begin again.
    BadCursor,
    /// The engine of the server cannot do this.
    Unsupported,
    /// The write may or may not be done.
    OutcomeUnknown,
    /// The engine failed for another reason.
    Engine,
    /// A code that this version of the crate does not know, as the server sent it.
    Other(String),
}

impl ErrorCode {
    /// Every code that this version knows.
    pub const KNOWN: &[ErrorCode] = &[
        ErrorCode::KeyNotFound,
        ErrorCode::BadRequest,
        ErrorCode::FrameTooLong,
        ErrorCode::TooLarge,
        ErrorCode::Damaged,
        ErrorCode::StorageFull,
        ErrorCode::Io,
        ErrorCode::TooManyConnections,
        ErrorCode::Overloaded,
        ErrorCode::TooSlow,
        ErrorCode::Unauthorized,
        ErrorCode::BadCursor,
        ErrorCode::Unsupported,
        ErrorCode::OutcomeUnknown,
        ErrorCode::Engine,
    ];

    /// Returns the code as it is in JSON, without the quotes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            ErrorCode::KeyNotFound => "key_not_found",
            ErrorCode::BadRequest => "bad_request",
            ErrorCode::FrameTooLong => "frame_too_long",
            ErrorCode::TooLarge => "too_large",
            ErrorCode::Damaged => "damaged",
            ErrorCode::StorageFull => "storage_full",
            ErrorCode::Io => "io",
            ErrorCode::TooManyConnections => "too_many_connections",
            ErrorCode::Overloaded => "overloaded",
            ErrorCode::TooSlow => "too_slow",
            ErrorCode::Unauthorized => "unauthorized",
            ErrorCode::BadCursor => "bad_cursor",
            ErrorCode::Unsupported => "unsupported",
            ErrorCode::OutcomeUnknown => "outcome_unknown",
            ErrorCode::Engine => "engine",
            ErrorCode::Other(code) => code,
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl From<String> for ErrorCode {
    fn from(code: String) -> ErrorCode {
        let known = ErrorCode::KNOWN.iter().find(|known| known.as_str() == code);
        known.cloned().unwrap_or(ErrorCode::Other(code))
    }
}

impl FromStr for ErrorCode {
    type Err = Infallible;

    fn from_str(code: &str) -> Result<ErrorCode, Infallible> {
        Ok(code.to_owned().into())
    }
}

impl Serialize for ErrorCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
