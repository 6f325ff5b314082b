//! The requests and the replies.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::kind::{ErrorCode, Kind};
use crate::error::{ConnectionError, KvsError};
use crate::stats::Stats;

/// What a client asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// The value of a key.
    Get {
        /// The key.
        key: String,
    },
    /// A new value for a key, whether or not it had one.
    Set {
        /// The key.
        key: String,
        /// The value.
        value: String,
    },
    /// No value for a key that has one.
    Remove {
        /// The key.
        key: String,
    },
    /// Leave to send requests, where the server wants a token for that.
    Auth {
        /// What the server knows as well.
        token: String,
    },
    /// How the server is doing.
    Stats {},
}

/// What the server answers, in the order of the requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Response {
    /// To [`Request::Get`]: the value, or `None` where the key is not there.
    Get(Option<String>),
    /// To [`Request::Set`]: it is done.
    Set,
    /// To [`Request::Remove`]: it is done.
    Remove,
    /// To [`Request::Auth`]: requests are welcome.
    Auth,
    /// To [`Request::Stats`].
    Stats(Box<Stats>),
    /// To any request that failed.
    Err {
        /// The reason, for programs.
        code: ErrorCode,
        /// A sentence, for people.
        message: String,
    },
}

impl Request {
    /// The kind of reply that is due.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Request::Get { .. } => Kind::Get,
            Request::Set { .. } => Kind::Set,
            Request::Remove { .. } => Kind::Remove,
            Request::Auth { .. } => Kind::Auth,
            Request::Stats {} => Kind::Stats,
        }
    }
}

impl Response {
    /// The kind of request that this answers, or `None` for an error, which may answer any.
    #[must_use]
    pub fn kind(&self) -> Option<Kind> {
        match self {
            Response::Get(_) => Some(Kind::Get),
            Response::Set => Some(Kind::Set),
            Response::Remove => Some(Kind::Remove),
            Response::Auth => Some(Kind::Auth),
            Response::Stats(_) => Some(Kind::Stats),
            Response::Err { .. } => None,
        }
    }

    /// What a client's `get` comes to, where this is the reply to its request.
    ///
    /// # Errors
    ///
    /// [`KvsError::KeyNotFound`] or [`KvsError::Server`], as the reply says.
    pub fn into_value(self) -> crate::Result<Option<String>> {
        match self {
            Response::Get(value) => Ok(value),
            other => other.into_done().map(|()| None),
        }
    }

    /// What a client's `stats` comes to, where this is the reply to its request.
    ///
    /// # Errors
    ///
    /// [`KvsError::Server`], as the reply says.
    pub fn into_stats(self) -> crate::Result<Stats> {
        match self {
            Response::Stats(stats) => Ok(*stats),
            other => other.into_done().map(|()| Stats::default()),
        }
    }

    /// What a client's `set`, `remove` or `auth` comes to, where this is the reply to its request.
    ///
    /// # Errors
    ///
    /// [`KvsError::KeyNotFound`] or [`KvsError::Server`], as the reply says.
    pub fn into_done(self) -> crate::Result<()> {
        match self {
            Response::Err { code, message } => Err(match code {
                ErrorCode::KeyNotFound => KvsError::KeyNotFound,
                _ => KvsError::Server { code, message },
            }),
            _ => Ok(()),
        }
    }

    /// Returns the error that this reply is if it arrived when none was due.
    pub(crate) fn into_unexpected(self) -> ConnectionError {
        match self {
            Response::Err { code, message } => ConnectionError::Dismissed { code, message },
            _ => ConnectionError::UnexpectedReply,
        }
    }

    /// Makes a reply that reports an error.
    pub(crate) fn error(code: ErrorCode, message: impl fmt::Display) -> Response {
        Response::Err {
            code,
            message: message.to_string(),
        }
    }
}

impl From<KvsError> for Response {
    fn from(error: KvsError) -> Response {
        let code = match &error {
            KvsError::KeyNotFound => ErrorCode::KeyNotFound,
            KvsError::TooLarge { .. } => ErrorCode::TooLarge,
            KvsError::Damaged { .. } => ErrorCode::Damaged,
            KvsError::StorageFull { .. } => ErrorCode::StorageFull,
            KvsError::Io { .. } => ErrorCode::Io,
            _ => ErrorCode::Engine,
        };
        Response::error(code, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_replies_are_the_documented_json() {
        let json = |response: &Response| serde_json::to_string(response).unwrap();
        assert_eq!(json(&Response::Get(Some("v".into()))), r#"{"Get":"v"}"#);
        assert_eq!(json(&Response::Get(None)), r#"{"Get":null}"#);
        assert_eq!(json(&Response::Set), r#""Set""#);
        assert_eq!(json(&Response::Remove), r#""Remove""#);
        assert_eq!(
            json(&KvsError::KeyNotFound.into()),
            r#"{"Err":{"code":"key_not_found","message":"Key not found"}}"#
        );

        let json = |request: &Request| serde_json::to_string(request).unwrap();
        let (key, value) = ("k".to_owned(), "v".to_owned());
        assert_eq!(
            json(&Request::Get { key: key.clone() }),
            r#"{"Get":{"key":"k"}}"#
        );
        assert_eq!(
            json(&Request::Remove { key: key.clone() }),
            r#"{"Remove":{"key":"k"}}"#
        );
        assert_eq!(
            json(&Request::Set { key, value }),
            r#"{"Set":{"key":"k","value":"v"}}"#
        );
    }
}
