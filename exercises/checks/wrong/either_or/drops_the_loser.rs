//! Fails: the_other_future_is_kept: requests that still run

use futures::{Future, future};
use kvs::KvsError;
use kvs::client::anon::KvsClient;

fn main() {}

type Value = Option<String>;

fn first_of(
    near: impl Future<Item = Value, Error = KvsError>,
    far: impl Future<Item = Value, Error = KvsError>,
) -> impl Future<Item = (Value, impl Future<Item = bool, Error = KvsError>), Error = KvsError> {
    near.select(far)
        .map(|(first, _)| (first, future::ok(true)))
        .map_err(|(error, _)| error)
}
