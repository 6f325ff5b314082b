//! The secret that lets a client in.

use std::env;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use subtle::ConstantTimeEq;

use crate::error::{KvsError, Result};

/// The environment variable in which clients look for their token.
pub const TOKEN_VARIABLE: &str = "KVS_AUTH_TOKEN";

/// What a server wants to be shown before any request. It does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// Takes a token that is not empty.
    ///
    /// # Errors
    ///
    /// [`KvsError::BadToken`] where it is.
    pub fn new(token: impl Into<String>) -> Result<Token> {
        let token = token.into();
        match token.is_empty() {
            true => Err(bad("it is empty")),
            false => Ok(Token(token)),
        }
    }

    /// Reads a token from a file that only its owner can read. White space around it is not a part
    /// of it.
    ///
    /// # Errors
    ///
    /// [`KvsError::BadToken`] where others may read the file, or nothing is in it, and
    /// [`KvsError::Io`] where it cannot be read.
    pub fn from_file(path: &Path) -> Result<Token> {
        let failed = |error| KvsError::io(format_args!("read the token in {path:?}"))(error);
        let mut file = File::open(path).map_err(failed)?;
        let mode = file.metadata().map_err(failed)?.mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(bad(format_args!(
                "others may read or write {path:?} (mode {mode:o}): chmod 600 it"
            )));
        }
        let mut token = String::new();
        file.read_to_string(&mut token).map_err(failed)?;
        match token.trim() {
            "" => Err(bad(format_args!("{path:?} is empty"))),
            token => Token::new(token),
        }
    }

    /// Reads a token from the environment variable [`TOKEN_VARIABLE`], where it is set.
    ///
    /// # Errors
    ///
    /// [`KvsError::BadToken`] where it is empty or not UTF-8.
    pub fn from_env() -> Result<Option<Token>> {
        match env::var(TOKEN_VARIABLE) {
            Ok(token) => Token::new(token).map(Some),
            Err(env::VarError::NotPresent) => Ok(None),
            Err(env::VarError::NotUnicode(_)) => Err(bad("it is not UTF-8")),
        }
    }

    /// Whether it is the same, in a time that does not tell how much of it is.
    pub(crate) fn matches(&self, other: &str) -> bool {
        self.0.as_bytes().ct_eq(other.as_bytes()).into()
    }

    /// The secret itself, for the wire.
    #[must_use]
    pub fn reveal(&self) -> String {
        self.0.clone()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

fn bad(reason: impl fmt::Display) -> KvsError {
    KvsError::BadToken {
        reason: reason.to_string(),
    }
}
