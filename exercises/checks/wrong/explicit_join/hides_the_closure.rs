//! Fails: each_part_of_its_type_has_a_name: a closure is in

use futures::Future;
use kvs::KvsError;
use kvs::client::connection::Connection;
use kvs::protocol::{Request, Response};

fn main() {}

/// Stores `value` under `key`.
fn set(
    connection: &Connection,
    key: String,
    value: String,
) -> impl Future<Item = (), Error = KvsError> + use<> {
    let (sent, reply) = connection.request(&Request::Set { key, value });
    sent.and_then(|()| reply).and_then(Response::into_done)
}
