// You want a future whose type has a name, and no box: a struct has it as a field. So write out the
// type of this chain. The compiler does not fill the gap `_`, because a signature is a promise to
// callers. The closure captures nothing.
//
// After that, one more error is left. Mend it in the body, and keep the type.
// `docs/part-3-explicit.md`, "The first half: a closure that captures nothing".

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
fn length(client: &mut KvsClient, key: String) -> Map<Get, _> {
    // TODO: the type of the closure, in place of `_`. Then mend the body.
    let length = client.get(key).map(|value| value.map(|value| value.len()));
    length
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
