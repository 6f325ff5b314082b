//! Fails: the_cause_is_reported: the request was too long to be sent, but the future reports

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
    Join<Receiving, Sending>,
    Result<(), KvsError>,
    fn((Response, ())) -> Result<(), KvsError>,
> {
    let (sent, reply) = connection.request(&Request::Set { key, value });
    reply.join(sent).and_then(|(reply, ())| reply.into_done())
}
