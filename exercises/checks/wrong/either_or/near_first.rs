//! Fails: the_faster_answer_wins: the server `far` has answered, and no wake-up came

use futures::{Future, future};
use kvs::KvsError;
use kvs::client::anon::KvsClient;

fn main() {}

type Value = Option<String>;

fn first_of(
    near: impl Future<Item = Value, Error = KvsError>,
    far: impl Future<Item = Value, Error = KvsError>,
) -> impl Future<Item = (Value, impl Future<Item = bool, Error = KvsError>), Error = KvsError> {
    near.map(|first| {
        let expected = first.clone();
        (first, far.map(move |other| other == expected))
    })
}
