//! Fails: E0277

use std::num::ParseIntError;

use futures::Future;
use kvs::KvsError;
use kvs::client::anon::KvsClient;

fn main() {}

#[derive(Debug)]
enum AppError {
    /// The key does not exist.
    Missing,
    /// The value is not a number.
    Number(ParseIntError),
    /// The request failed.
    Store(KvsError),
}

impl From<KvsError> for AppError {
    fn from(error: KvsError) -> AppError {
        AppError::Store(error)
    }
}

impl From<ParseIntError> for AppError {
    fn from(error: ParseIntError) -> AppError {
        AppError::Number(error)
    }
}

/// Resolves to the number that is stored under `key`.
fn number(
    client: &mut KvsClient,
    key: String,
) -> impl Future<Item = i64, Error = AppError> + use<> {
    client.get(key).from_err().map(|value| {
        let text = value.ok_or(AppError::Missing)?;
        let number: i64 = text.parse()?;
        number
    })
}
