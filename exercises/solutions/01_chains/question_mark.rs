// `?` returns from the closure, so the closure returns a `Result`. `and_then` takes it: its `Err`
// becomes the error of the chain. With `map` it would become the item. `from_err` stands before the
// `and_then`, because both steps of an `and_then` have the same error. The return type names that
// error, and from there the compiler infers it for `from_err` and for both `?`.

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
    client.get(key).from_err().and_then(|value| {
        let text = value.ok_or(AppError::Missing)?;
        let number: i64 = text.parse()?;
        Ok(number)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::IntErrorKind;
    use support::harness::Script;
    use support::{serve, within_time};

    /// Stores a text, if there is one, and returns what `number` makes of it.
    fn number_of(text: Option<&str>) -> Result<i64, AppError> {
        let (_dir, server) = serve();
        let mut client = KvsClient::connect(server.addr).wait().unwrap();
        if let Some(text) = text {
            let set = client.set("key".to_owned(), text.to_owned());
            set.wait().unwrap();
        }
        number(&mut client, "key".to_owned()).wait()
    }

    #[test]
    fn a_number_is_read() {
        within_time(|| {
            let number = number_of(Some("42"));
            assert!(matches!(number, Ok(42)), "the text was 42: {number:?}");
        });
    }

    #[test]
    fn a_missing_key_is_an_error() {
        within_time(|| {
            let number = number_of(None);
            assert!(
                matches!(number, Err(AppError::Missing)),
                "there was no value, so the error is Missing: {number:?}"
            );
        });
    }

    #[test]
    fn text_that_is_no_number_is_an_error() {
        within_time(|| {
            let number = number_of(Some("many"));
            let Err(AppError::Number(error)) = &number else {
                panic!("the text was \"many\", so the error is Number: {number:?}");
            };
            assert_eq!(*error.kind(), IntErrorKind::InvalidDigit);
        });
    }

    #[test]
    fn a_request_that_fails_is_an_error() {
        within_time(|| {
            // This server closes the connection in place of a reply.
            let script = Script::start(|mut peer| drop(peer.receive()));
            let mut client = KvsClient::connect(script.addr).wait().unwrap();
            let number = number(&mut client, "key".to_owned()).wait();
            script.finish();
            assert!(
                matches!(number, Err(AppError::Store(KvsError::Connection { .. }))),
                "the request failed, so the error is Store: {number:?}"
            );
        });
    }
}
