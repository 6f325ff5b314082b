//! How `get` prints values.

use failure::Error;
use kvs::KvsError;

use crate::cli::{self, Failure, Result};

/// The exit code for a key that does not exist, if an argument asks for it.
const MISSING: u8 = 3;

/// The form of a value.
#[derive(Clone, Copy)]
pub enum Format {
    /// The value and the end of the line.
    Line,
    /// Nothing but the value.
    Raw,
    /// A JSON string, or `null` for a missing key.
    Json,
}

impl Format {
    pub fn new(raw: bool, json: bool) -> Format {
        if raw {
            Format::Raw
        } else if json {
            Format::Json
        } else {
            Format::Line
        }
    }
}

/// The answer to `get`, which is printed value by value.
pub struct Answer {
    format: Format,
    /// Whether a missing key is an error.
    is_strict: bool,
    missing: Vec<String>,
}

impl Answer {
    pub fn new(format: Format, is_strict: bool) -> Answer {
        Answer {
            format,
            is_strict,
            missing: Vec::new(),
        }
    }

    /// Prints the value of `key`. In strict mode, remembers a missing key for the error.
    pub fn print(mut self, key: String, value: Option<String>) -> Result<Answer> {
        match (self.format, &value) {
            (Format::Json, value) => cli::print(serde_json::to_string(value)?)?,
            (Format::Line, Some(value)) => cli::print(value)?,
            (Format::Raw, Some(value)) => cli::write(value.as_bytes())?,
            (_, None) if self.is_strict => {}
            (_, None) => cli::print(KvsError::KeyNotFound)?,
        }
        if self.is_strict && value.is_none() {
            self.missing.push(key);
        }
        Ok(self)
    }

    /// Fails if keys were missing, in strict mode.
    pub fn end(self) -> Result<()> {
        if self.missing.is_empty() {
            return Ok(());
        }
        Err(missing(&self.missing))
    }
}

/// Returns the error that makes the program exit with the code for missing keys.
pub fn missing(keys: &[String]) -> Error {
    let keys: Vec<_> = keys.iter().map(|key| format!("{key:?}")).collect();
    Error::from(Failure {
        code: MISSING,
        message: format!("{}: {}", KvsError::KeyNotFound, keys.join(", ")),
    })
}
