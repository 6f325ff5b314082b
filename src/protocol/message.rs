//! The requests and the replies.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::kind::{ErrorCode, Kind};
use crate::error::{ConnectionError, KvsError};
use crate::scan::{Page, Scan};
use crate::stats::Stats;

/// A request, which a client sends to a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Request {
    /// Asks for the value of a key.
    Get {
        /// The key.
        key: String,
    },
    /// Stores a value under a key, and replaces the value that the key had.
    Set {
        /// The key.
        key: String,
        /// The value.
        value: String,
    },
    /// Removes a key and its value.
    Remove {
        /// The key.
        key: String,
    },
    /// Shows a token. If the server wants one, this has to be the first request.
    Auth {
        /// The token.
        token: String,
    },
    /// Asks for the statistics of the server.
    Stats {},
    /// Asks for a page of a scan.
    Scan(Scan),
}

/// A reply, which a server sends for each request, in the order of the requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
// Rare replies are in boxes, so that the others, which are moved often, are small.
pub enum Response {
    /// Answers [`Request::Get`]: the value, or `None` if the key does not exist.
    Get(Option<String>),
    /// Answers [`Request::Set`]: the value is stored.
    Set,
    /// Answers [`Request::Remove`]: the key is removed.
    Remove,
    /// Answers [`Request::Auth`]: the server accepts requests.
    Auth,
    /// Answers [`Request::Stats`].
    Stats(Box<Stats>),
    /// Answers [`Request::Scan`].
    Scan(Box<Page>),
    /// Answers any request that failed.
    Err {
        /// The reason, for programs.
        code: ErrorCode,
        /// A sentence, for people.
        message: String,
    },
}

impl Request {
    /// Returns the kind of this request, and so of its reply.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Request::Get { .. } => Kind::Get,
            Request::Set { .. } => Kind::Set,
            Request::Remove { .. } => Kind::Remove,
            Request::Auth { .. } => Kind::Auth,
            Request::Stats {} => Kind::Stats,
            Request::Scan(_) => Kind::Scan,
        }
    }
}

impl Response {
    /// Returns the kind of request that this reply answers, or `None` for an error, which may
    /// answer any.
    #[must_use]
    pub fn kind(&self) -> Option<Kind> {
        match self {
            Response::Get(_) => Some(Kind::Get),
            Response::Set => Some(Kind::Set),
            Response::Remove => Some(Kind::Remove),
            Response::Auth => Some(Kind::Auth),
            Response::Stats(_) => Some(Kind::Stats),
            Response::Scan(_) => Some(Kind::Scan),
            Response::Err { .. } => None,
        }
    }

    /// Returns the result of a client's `get` whose request got this reply.
    ///
    /// # Errors
    ///
    /// [`KvsError::KeyNotFound`] or [`KvsError::Server`] if the reply is an error.
    pub fn into_value(self) -> crate::Result<Option<String>> {
        match self {
            Response::Get(value) => Ok(value),
            other => other.into_done().map(|()| None),
        }
    }

    /// Returns the result of a client's `stats` whose request got this reply.
    ///
    /// # Errors
    ///
    /// [`KvsError::KeyNotFound`] or [`KvsError::Server`] if the reply is an error.
    pub fn into_stats(self) -> crate::Result<Stats> {
        match self {
            Response::Stats(stats) => Ok(*stats),
            other => other.into_done().map(|()| Stats::default()),
        }
    }

    /// Returns the page of a client's scan whose request got this reply.
    ///
    /// # Errors
    ///
    /// [`KvsError::Server`] if the reply is an error.
    pub fn into_page(self) -> crate::Result<Page> {
        match self {
            Response::Scan(page) => Ok(*page),
            other => other.into_done().map(|()| Page::default()),
        }
    }

    /// Returns the result of a client's `set`, `remove` or `auth` whose request got this reply.
    ///
    /// # Errors
    ///
    /// [`KvsError::KeyNotFound`] or [`KvsError::Server`] if the reply is an error.
    pub fn into_done(self) -> crate::Result<()> {
        match self {
            Response::Err { code, message } => Err(match code {
                ErrorCode::KeyNotFound => KvsError::KeyNotFound,
                _ => KvsError::Server { code, message },
            }),
            _ => Ok(()),
        }
    }

    /// Returns the error for a connection on which this reply arrived when none was due.
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
            KvsError::BadCursor { .. } => ErrorCode::BadCursor,
            KvsError::CannotScan => ErrorCode::Unsupported,
            KvsError::OutcomeUnknown { .. } => ErrorCode::OutcomeUnknown,
            _ => ErrorCode::Engine,
        };
        Response::error(code, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_reply_takes_more_memory_than_an_error() {
        assert_eq!(size_of::<Response>(), size_of::<(ErrorCode, String)>());
    }

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

    #[test]
    fn scans_and_pages_are_the_documented_json() {
        let json = r#"{"Scan":{"cursor":"c","limit":7,"prefix":"p","keys_only":true}}"#;
        let request: Request = serde_json::from_str(json).unwrap();
        let scan = Scan {
            cursor: Some("c".to_owned()),
            limit: 7,
            prefix: "p".to_owned(),
            keys_only: true,
        };
        assert_eq!(request, Request::Scan(scan));
        assert_eq!(serde_json::to_string(&request).unwrap(), json);

        let json = r#"{"Scan":{"pairs":[["k","v"],["l",null]],"cursor":null}}"#;
        let reply: Response = serde_json::from_str(json).unwrap();
        let pair = |key: &str, value: Option<&str>| (key.to_owned(), value.map(str::to_owned));
        let pairs = vec![pair("k", Some("v")), pair("l", None)];
        let cursor = None;
        assert_eq!(reply, Response::Scan(Box::new(Page { pairs, cursor })));
        assert_eq!(serde_json::to_string(&reply).unwrap(), json);
    }
}
