//! The secret that a client shows to a server before any request.

use std::env;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use rustix::process::geteuid;
use subtle::ConstantTimeEq;

use crate::error::{KvsError, Result};
use crate::protocol::{MAX_TOKEN_FRAME, Request};

/// The environment variable from which clients read their token.
pub const TOKEN_VARIABLE: &str = "KVS_AUTH_TOKEN";

/// The length limit of a token file, in bytes. A pipe may have no end.
const MAX_FILE: u64 = 64 * 1024;

/// A secret that a server wants before any request. Neither [`Debug`](fmt::Debug) nor an error
/// prints it.
///
/// A token is one line of text. White space around it does not count, in a file and elsewhere.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// Makes a token from a text.
    ///
    /// # Errors
    ///
    /// [`KvsError::BadToken`] if the text is empty or blank, if it contains a control character,
    /// such as the end of a line, or if it is too long for a client to show. As JSON it has to fit
    /// into a frame of [`MAX_TOKEN_FRAME`] bytes.
    pub fn new(token: impl Into<String>) -> Result<Token> {
        parse("it", &token.into())
    }

    /// Reads a token from a file that only its owner can read. If root owns the file and this
    /// process does not run as root, a group may read it too.
    ///
    /// # Errors
    ///
    /// [`KvsError::BadToken`] if others may read the file, or if it does not hold a token, and
    /// [`KvsError::Io`] if it cannot be read.
    pub fn from_file(path: &Path) -> Result<Token> {
        let failed = |error| KvsError::io(format_args!("read the token in {path:?}"))(error);
        let file = File::open(path).map_err(failed)?;
        // Of the open file, because another file may take the path at any time.
        let metadata = file.metadata().map_err(failed)?;
        // A shell passes a pipe for `<(command)`.
        if !metadata.is_file() && !metadata.file_type().is_fifo() {
            return Err(bad(format_args!("{path:?} is neither a file nor a pipe")));
        }
        let mode = metadata.mode() & 0o777;
        if !is_private(mode, metadata.uid(), geteuid().as_raw()) {
            return Err(bad(format_args!(
                "others may read or write {path:?} (mode {mode:o}): chmod 600 it"
            )));
        }
        let mut token = Vec::new();
        // One byte more than allowed, to tell a file that is too long.
        let len = file.take(MAX_FILE + 1).read_to_end(&mut token);
        if len.map_err(failed)? as u64 > MAX_FILE {
            return Err(bad(format_args!(
                "{path:?} is longer than {MAX_FILE} bytes"
            )));
        }
        let token = String::from_utf8(token);
        let token = token.map_err(|_| bad(format_args!("{path:?} is not UTF-8")))?;
        parse(format_args!("the text in {path:?}"), &token)
    }

    /// Reads a token from the environment variable [`TOKEN_VARIABLE`]. An empty or blank variable
    /// counts as not set.
    ///
    /// # Errors
    ///
    /// [`KvsError::BadToken`] if the variable does not hold a token.
    pub fn from_env() -> Result<Option<Token>> {
        match env::var(TOKEN_VARIABLE) {
            Ok(token) if trim(&token).is_empty() => Ok(None),
            Ok(token) => parse(TOKEN_VARIABLE, &token).map(Some),
            Err(env::VarError::NotPresent) => Ok(None),
            Err(env::VarError::NotUnicode(_)) => {
                Err(bad(format_args!("{TOKEN_VARIABLE} is not UTF-8")))
            }
        }
    }

    /// Checks that the frame that shows the token has at most `max` bytes. `origin` says in the
    /// error where the token came from.
    pub(crate) fn check_frame(&self, origin: impl fmt::Display, max: usize) -> Result<()> {
        let token = self.reveal();
        let frame = serde_json::to_string(&Request::Auth { token });
        let len = frame.expect("strings are always JSON").len();
        if len <= max {
            return Ok(());
        }
        Err(bad(format_args!(
            "{origin} is too long: a client would show it in a frame of {len} bytes, and at most \
             {max} are allowed"
        )))
    }

    /// Returns whether `other` is this token, in a time that does not reveal how much of it is
    /// equal.
    pub(crate) fn matches(&self, other: &str) -> bool {
        self.0.as_bytes().ct_eq(other.as_bytes()).into()
    }

    /// Returns the secret itself, for the wire.
    #[doc(hidden)]
    #[must_use]
    pub fn reveal(&self) -> String {
        self.0.clone()
    }
}

impl PartialEq for Token {
    /// Compares the tokens in a time that does not reveal how much of them is equal.
    fn eq(&self, other: &Token) -> bool {
        self.matches(&other.0)
    }
}

impl Eq for Token {}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

/// Makes a token from a text that came from `origin`.
fn parse(origin: impl fmt::Display, text: &str) -> Result<Token> {
    let token = trim(text);
    if token.is_empty() {
        return Err(bad(format_args!("{origin} is empty")));
    }
    if token.contains(char::is_control) {
        return Err(bad(format_args!(
            "{origin} is more than one line, or has another control character in it"
        )));
    }
    let token = Token(token.to_owned());
    token.check_frame(origin, MAX_TOKEN_FRAME)?;
    Ok(token)
}

/// Removes the white space around a token, and the byte order mark with which some editors begin a
/// file.
fn trim(text: &str) -> &str {
    text.trim_matches(|char: char| char.is_whitespace() || char == '\u{feff}')
}

/// Returns whether only `user` can read a file with this mode and owner. If a secret is mounted for
/// a user other than root, it often belongs to root, and the group of the user may read it. That is
/// accepted, too.
fn is_private(mode: u32, owner: u32, user: u32) -> bool {
    let allowed = match owner {
        0 if user != 0 => 0o740,
        _ => 0o700,
    };
    mode & !allowed == 0
}

fn bad(reason: fmt::Arguments<'_>) -> KvsError {
    KvsError::BadToken {
        reason: reason.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_private_to_its_owner_or_to_a_group_that_root_has_chosen() {
        let (root, user, other) = (0, 1000, 1001);
        for owner in [root, user, other] {
            for reader in [root, user] {
                for mode in [0o600, 0o400, 0o700] {
                    assert!(is_private(mode, owner, reader), "{owner} {reader} {mode:o}");
                }
                for mode in [0o644, 0o604, 0o602, 0o620, 0o660, 0o444, 0o777] {
                    assert!(
                        !is_private(mode, owner, reader),
                        "{owner} {reader} {mode:o}"
                    );
                }
                for mode in [0o640, 0o440] {
                    let is_mounted = owner == root && reader == user;
                    assert_eq!(is_private(mode, owner, reader), is_mounted);
                }
            }
        }
    }
}
