//! Fails: keys_are_moved_one_after_the_other_and_not_before_the_first_poll: sends one request

use futures::future::{self, Either, Future};
use futures::sync::oneshot::{self, Receiver};
use kvs::KvsError;
use kvs::client::anon::KvsClient;

fn main() {}

/// Moves `key` from one server to the other. Resolves to whether it existed.
fn move_key(
    from: &mut KvsClient,
    to: &mut KvsClient,
    key: &str,
) -> impl Future<Item = bool, Error = KvsError> + Send + use<> {
    let (mut from, mut to, key) = (from.clone(), to.clone(), key.to_owned());
    from.get(key.clone()).and_then(move |value| {
        let Some(value) = value else {
            return Either::A(future::ok(false));
        };
        let set = to.set(key.clone(), value);
        let removed = set.and_then(move |()| from.remove(key));
        Either::B(removed.map(|()| true))
    })
}

/// Moves the keys one after the other, and stops at the first error. Resolves to the number of keys
/// that existed.
fn move_all(
    from: KvsClient,
    to: KvsClient,
    keys: Vec<String>,
) -> Box<dyn Future<Item = usize, Error = KvsError> + Send> {
    let (mut from, mut to) = (from, to);
    let steps: Vec<_> = keys
        .iter()
        .map(|key| move_key(&mut from, &mut to, key))
        .collect();
    let all = future::join_all(steps);
    Box::new(all.map(|existed| existed.into_iter().filter(|existed| *existed).count()))
}

/// Moves the keys in a task of its own. Returns at once, with the receiving end of the result.
fn spawn_move(
    from: KvsClient,
    to: KvsClient,
    keys: Vec<String>,
) -> Receiver<Result<usize, KvsError>> {
    let (sender, receiver) = oneshot::channel();
    let moved = move_all(from, to, keys);
    tokio::spawn(moved.then(|result| sender.send(result).map_err(drop)));
    receiver
}
