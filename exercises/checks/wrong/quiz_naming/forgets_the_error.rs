//! Fails: a_task_sends_its_result: the task is gone, and has sent neither

use futures::future::{self, Either, Future, Loop};
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
    let state = (from, to, keys.into_iter(), 0);
    let all = future::loop_fn(state, |(mut from, mut to, mut keys, moved)| {
        let Some(key) = keys.next() else {
            return Either::A(future::ok(Loop::Break(moved)));
        };
        let step = move_key(&mut from, &mut to, &key);
        Either::B(step.map(move |existed| {
            let moved = moved + usize::from(existed);
            Loop::Continue((from, to, keys, moved))
        }))
    });
    Box::new(all)
}

/// Moves the keys in a task of its own. Returns at once, with the receiving end of the result.
fn spawn_move(
    from: KvsClient,
    to: KvsClient,
    keys: Vec<String>,
) -> Receiver<Result<usize, KvsError>> {
    let (sender, receiver) = oneshot::channel();
    let moved = move_all(from, to, keys);
    let sent = moved.map(|moved| sender.send(Ok(moved)).unwrap_or_default());
    tokio::spawn(sent.map_err(drop));
    receiver
}
