//! Fails: there_is_no_box: the future is, or contains, a box

use futures::{Future, future};
use kvs::KvsError;
use kvs::client::anon::KvsClient;

fn main() {}

/// Resolves to `given`, or else to the value of `key` on the server.
fn setting(
    mut client: KvsClient,
    key: String,
    given: Option<String>,
) -> impl Future<Item = Option<String>, Error = KvsError> + Send {
    let setting: Box<dyn Future<Item = Option<String>, Error = KvsError> + Send> = match given {
        Some(value) => Box::new(future::ok(Some(value))),
        None => Box::new(client.get(key)),
    };
    setting
}
