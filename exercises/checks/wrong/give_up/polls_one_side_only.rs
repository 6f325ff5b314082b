//! Fails: the_user_can_stop: stop was pressed, but the task was not woken

use futures::sync::oneshot;
use futures::{Async, Future, future, try_ready};
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
    mut stop: oneshot::Receiver<()>,
) -> impl Future<Item = Ended, Error = KvsError> + use<> {
    let mut get = client.get(key.to_owned());
    future::poll_fn(move || {
        let value = try_ready!(get.poll());
        if let Ok(Async::NotReady) = stop.poll() {
            return Ok(Async::Ready(Ended::Value(value)));
        }
        Ok(Async::Ready(Ended::Stopped))
    })
}
