// The type of the closure has no name, and the type of a function pointer has one. A closure
// without captures converts into a pointer, but only at a place where the compiler expects one.
// Here that is the argument of `map`, because the call is the last expression of the function. A
// finished `Map` does not convert any more.

#![allow(clippy::type_complexity, reason = "long types are the lesson")]

use futures::Future;
use futures::future::{AndThen, Join, Map};
use kvs::KvsError;
use kvs::client::connection::{Receiving, Sending};
use kvs::client::explicit::KvsClient;
use kvs::protocol::Response;

fn main() {}

/// The future of `KvsClient::get`.
type Get = AndThen<
    Join<Sending, Receiving>,
    Result<Option<String>, KvsError>,
    fn(((), Response)) -> Result<Option<String>, KvsError>,
>;

/// Resolves to the length of the value of `key` in bytes, or to `None` if there is no such key.
fn length(client: &mut KvsClient, key: String) -> Map<Get, fn(Option<String>) -> Option<usize>> {
    client.get(key).map(|value| value.map(|value| value.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use support::{serve, within_time};

    /// A request for a length, and its key. It needs no type parameter.
    struct Request {
        key: &'static str,
        length: Map<Get, fn(Option<String>) -> Option<usize>>,
    }

    #[test]
    fn a_struct_can_have_it_as_a_field() {
        within_time(|| {
            let (_dir, server) = serve();
            let mut client = KvsClient::connect(server.addr).wait().unwrap();
            let set = client.set("key".to_owned(), "value".to_owned());
            set.wait().unwrap();
            let requests = ["key", "missing"].map(|key| Request {
                key,
                length: length(&mut client, key.to_owned()),
            });
            for (request, expected) in requests.into_iter().zip([Some(5), None]) {
                let length = request.length.wait().unwrap();
                assert_eq!(
                    length, expected,
                    "the length of the value of {}",
                    request.key
                );
            }
        });
    }
}
