//! Fails: a_value_arrives: this takes too long

use futures::Future;
use futures::sync::oneshot;
use kvs::KvsError;
use kvs::client::anon::KvsClient;

fn main() {}

/// How a request has ended.
#[derive(Debug, PartialEq)]
enum Ended {
    Value(Option<String>),
    Stopped,
}

fn get_unless_stopped(
    client: &mut KvsClient,
    key: &str,
    stop: oneshot::Receiver<()>,
) -> impl Future<Item = Ended, Error = KvsError> + use<> {
    let stop = stop.then(|stop| Ok(stop.is_ok()));
    let both = client.get(key.to_owned()).join(stop);
    both.map(|(value, is_stopped)| match is_stopped {
        true => Ended::Stopped,
        false => Ended::Value(value),
    })
}
