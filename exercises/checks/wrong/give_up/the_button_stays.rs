//! Fails: a_button_that_is_gone_stops_too: unreachable

use futures::Future;
use futures::future::Either;
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
    client
        .get(key.to_owned())
        .select2(stop)
        .then(|first| match first {
            Ok(Either::A((value, _))) => Ok(Ended::Value(value)),
            Err(Either::A((error, _))) => Err(error),
            Ok(Either::B(_)) => Ok(Ended::Stopped),
            Err(Either::B(_)) => unreachable!("the sender is never dropped"),
        })
}
