//! Fails: each_part_of_its_type_has_a_name: a box is in

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
    AndThen<Sending, Receiving, Box<dyn FnOnce(()) -> Receiving + Send>>,
    Result<(), KvsError>,
    fn(Response) -> Result<(), KvsError>,
> {
    let (sent, reply) = connection.request(&Request::Set { key, value });
    let closure: Box<dyn FnOnce(()) -> Receiving + Send> = Box::new(|()| reply);
    sent.and_then(closure).and_then(Response::into_done)
}
