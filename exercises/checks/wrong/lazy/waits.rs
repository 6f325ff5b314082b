//! Fails: nothing_is_stored_before_the_first_poll: the value on the server

use futures::Future;
use kvs::KvsError;
use kvs::client::anon::KvsClient;

fn main() {}

fn store(
    client: &mut KvsClient,
    key: &str,
    value: &str,
) -> impl Future<Item = Option<String>, Error = KvsError> + use<> {
    client.set(key.to_owned(), value.to_owned()).wait().unwrap();
    client.get(key.to_owned())
}
