// `join` keeps both futures as fields. So the second one need not be captured, and the pair of both
// items is the argument of the next closure.
//
// It polls both at once, and that is right only because there is no reply before the request is
// sent. `sent` comes first, because `join` reports the first error that it finds.

#![allow(clippy::type_complexity, reason = "long types are the lesson")]

use futures::Future;
use futures::future::{AndThen, Join};
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
    Join<Sending, Receiving>,
    Result<(), KvsError>,
    fn(((), Response)) -> Result<(), KvsError>,
> {
    let (sent, reply) = connection.request(&Request::Set { key, value });
    sent.join(reply).and_then(|((), reply)| reply.into_done())
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
