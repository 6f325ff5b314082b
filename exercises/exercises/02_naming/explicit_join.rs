// A request is two futures: `sent` waits for room in the queue, and `reply` for the reply. The body
// joins them with a closure, which captures `reply`. The type names a function pointer, and such a
// pointer has no room for a captured value.
//
// Build another chain, whose closures capture nothing, and write out its type: no box, no `impl`.
// If the request is too long, `sent` fails with the cause, and `reply` with a consequence. Your
// future has to fail with the cause.
// `docs/part-3-explicit.md`, "The chain rebuilt".

#![allow(clippy::type_complexity, reason = "long types are the lesson")]

use futures::Future;
use futures::future::AndThen;
use kvs::KvsError;
use kvs::client::connection::{Connection, Receiving, Sending};
use kvs::protocol::{Request, Response};

fn main() {}

/// Stores `value` under `key`.
fn set(
    connection: &Connection,
    key: String,
    value: String,
) -> AndThen<
    AndThen<Sending, Receiving, fn(()) -> Receiving>,
    Result<(), KvsError>,
    fn(Response) -> Result<(), KvsError>,
> {
    let (sent, reply) = connection.request(&Request::Set { key, value });
    // TODO: which combinator keeps two futures, and no closure?
    sent.and_then(|()| reply).and_then(Response::into_done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::any::type_name_of_val;
    use support::harness::Script;
    use support::{serve, within_time};

    /// Returns a server, to be kept, and a connection to it.
    fn connect() -> (impl Sized, Connection) {
        let (dir, server) = serve();
        let connection = Connection::open(server.addr).wait().unwrap();
        ((server, dir), connection)
    }

    #[test]
    fn a_value_is_stored() {
        within_time(|| {
            let (_server, connection) = connect();
            let stored = set(&connection, "key".to_owned(), "value".to_owned());
            stored.wait().unwrap();
            let key = "key".to_owned();
            let (sent, reply) = connection.request(&Request::Get { key });
            let (_, reply) = sent.join(reply).wait().unwrap();
            let value = reply.into_value().unwrap();
            assert_eq!(value.as_deref(), Some("value"), "the value on the server");
        });
    }

    #[test]
    fn the_cause_is_reported() {
        within_time(|| {
            let (_server, connection) = connect();
            let value = "x".repeat(17 * 1024 * 1024);
            let error = set(&connection, "key".to_owned(), value).wait();
            assert!(
                matches!(error, Err(KvsError::TooLarge { .. })),
                "the request was too long to be sent, but the future reports: {error:?}"
            );
        });
    }

    #[test]
    fn an_error_of_the_server_is_reported() {
        within_time(|| {
            let script = Script::start(|mut peer| {
                peer.receive();
                peer.send(r#"{"Err":{"code":"storage_full","message":"the disk is full"}}"#);
            });
            let connection = Connection::open(script.addr).wait().unwrap();
            let stored = set(&connection, "key".to_owned(), "value".to_owned()).wait();
            script.finish();
            assert!(
                matches!(stored, Err(KvsError::Server { .. })),
                "the reply is an error, but the future reports: {stored:?}"
            );
        });
    }

    #[test]
    fn each_part_of_its_type_has_a_name() {
        within_time(|| {
            let (_server, connection) = connect();
            let stored = set(&connection, "key".to_owned(), "value".to_owned());
            let name = type_name_of_val(&stored);
            assert!(!name.contains("{{closure}}"), "a closure is in {name}");
            assert!(!name.contains("Box<"), "a box is in {name}");
        });
    }
}
