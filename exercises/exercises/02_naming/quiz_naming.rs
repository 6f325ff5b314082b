// You move keys from one server to another. Each of these functions names its future in another
// way.
//
// - `move_key` asks `from` for the value, stores it at `to`, and only then removes it at `from`, so
//   that no failure loses it. If the key does not exist, it does no more. Callers have many of
//   these futures at once, of the same two clients. Some spawn them.
// - `move_all` is one of many jobs in a `Vec`, so it is boxed. Its lists may be long.
// - `spawn_move` gives the job to the runtime, and its result comes through a oneshot.
//
// Complete the promises in the signatures, and write the bodies. Nothing is sent before a first
// poll.
// `docs/side-by-side.md`, "Line by line", says what the types of futures promise, and from there
// you find the pages.

#![allow(unused, reason = "you will need it")]

use futures::future::{self, Either, Future, Loop};
use futures::sync::oneshot::{self, Receiver};
use kvs::KvsError;
use kvs::client::anon::KvsClient;

fn main() {}

// TODO: what does this type have to promise?
/// Moves `key` from one server to the other. Resolves to whether it existed.
fn move_key(
    from: &mut KvsClient,
    to: &mut KvsClient,
    key: &str,
) -> impl Future<Item = bool, Error = KvsError> {
    // TODO
    future::lazy(|| -> Result<bool, KvsError> { todo!("move_key") })
}

// TODO: and what does this box have to promise?
/// Moves the keys one after the other, and stops at the first error. Resolves to the number of keys
/// that existed.
fn move_all(
    from: KvsClient,
    to: KvsClient,
    keys: Vec<String>,
) -> Box<dyn Future<Item = usize, Error = KvsError>> {
    todo!("move_all: a loop that has one future at a time")
}

/// Moves the keys in a task of its own. Returns at once, with the receiving end of the result.
fn spawn_move(
    from: KvsClient,
    to: KvsClient,
    keys: Vec<String>,
) -> Receiver<Result<usize, KvsError>> {
    todo!("spawn_move")
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::Async;
    use futures::executor::{self, Notify};
    use std::net::TcpListener;
    use std::sync::{Arc, Mutex};
    use std::thread::{self, Thread};
    use std::time::Duration;
    use support::common::Wire;
    use support::{Task, TestServer, serve, within_time};
    use tokio::runtime::Runtime;

    fn connect(server: &TestServer) -> KvsClient {
        KvsClient::connect(server.addr).wait().unwrap()
    }

    /// Stores the keys, with values of the same names.
    fn store(client: &mut KvsClient, keys: &[&str]) {
        for key in keys {
            let set = client.set((*key).to_owned(), (*key).to_owned());
            set.wait().unwrap();
        }
    }

    fn value(client: &mut KvsClient, key: &str) -> Option<String> {
        client.get(key.to_owned()).wait().unwrap()
    }

    fn owned(keys: &[&str]) -> Vec<String> {
        keys.iter().map(|key| (*key).to_owned()).collect()
    }

    /// Notes where in the stack a future asks for its task, and wakes this thread.
    struct Depth(Thread, Mutex<Vec<usize>>);

    impl Notify for Depth {
        fn notify(&self, _id: usize) {
            self.0.unpark();
        }

        fn clone_id(&self, id: usize) -> usize {
            if thread::current().id() == self.0.id() {
                let local = 0_u8;
                self.1.lock().unwrap().push((&raw const local).addr());
            }
            id
        }
    }

    #[test]
    fn a_long_list_needs_no_more_of_the_stack() {
        within_time(|| {
            let ((_dir, a), (_dir2, b)) = (serve(), serve());
            let keys = (0..200).map(|n| n.to_string()).collect();
            let mut moving = executor::spawn(move_all(connect(&a), connect(&b), keys));
            let depth = Arc::new(Depth(thread::current(), Mutex::default()));
            while let Async::NotReady = moving.poll_future_notify(&depth, 0).unwrap() {
                thread::park();
            }
            let stack = depth.1.lock().unwrap();
            let depth = stack.iter().max().unwrap() - stack.iter().min().unwrap();
            assert!(
                depth < 16 * 1024,
                "the last key needs {depth} bytes more of the stack than the first: the future of \
                 a key must not contain those of the next keys"
            );
        });
    }

    #[test]
    fn two_keys_can_be_moved_at_once() {
        within_time(|| {
            let ((_dir, a), (_dir2, b)) = (serve(), serve());
            let (mut from, mut to) = (connect(&a), connect(&b));
            store(&mut from, &["key"]);
            let key = move_key(&mut from, &mut to, "key");
            let name = "missing".to_owned();
            let missing = move_key(&mut from, &mut to, &name);
            drop((from, to, name));
            let mut runtime = Runtime::new().unwrap();
            let existed = runtime.block_on(key.join(missing)).unwrap();
            assert_eq!(existed, (true, false), "whether each of both keys existed");
            let (mut from, mut to) = (connect(&a), connect(&b));
            let moved = value(&mut to, "key");
            assert_eq!(moved.as_deref(), Some("key"), "the value at the new server");
            assert_eq!(value(&mut from, "key"), None, "the value at the old server");
            assert_eq!(value(&mut to, "missing"), None, "a key that did not exist");
        });
    }

    #[test]
    fn a_value_is_removed_when_the_other_server_has_it() {
        within_time(|| {
            let (_dir, a) = serve();
            let mut from = connect(&a);
            store(&mut from, &["key"]);
            let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
            let addr = listener.local_addr().unwrap();
            let mut to = KvsClient::connect(addr).wait().unwrap();
            let mut b = Wire::new(listener.accept().unwrap().0, Duration::from_secs(5));

            let mut moving = Task::new(move_key(&mut from, &mut to, "key"));
            moving.expect_not_ready();
            moving.wait_for_wake();
            moving.expect_not_ready();
            let kept = value(&mut from, "key");
            let kept =
                kept.expect("the value is gone before the other server has replied to the `set`");
            assert_eq!(kept, "key", "the value at the old server");

            assert_eq!(b.receive(), r#"{"Set":{"key":"key","value":"key"}}"#);
            b.send(r#""Set""#);
            let existed = moving.finish().unwrap();
            assert!(existed, "the key existed");
            assert_eq!(value(&mut from, "key"), None, "the value at the old server");
        });
    }

    #[test]
    fn a_list_is_a_job_among_others() {
        within_time(|| {
            let ((_dir, a), (_dir2, b)) = (serve(), serve());
            let (mut from, mut to) = (connect(&a), connect(&b));
            store(&mut from, &["a", "c"]);
            let keys = owned(&["a", "b", "c"]);
            let jobs: Vec<Box<dyn Future<Item = usize, Error = KvsError> + Send>> = vec![
                move_all(from.clone(), to.clone(), keys),
                Box::new(future::ok(7)),
            ];
            let moved = future::join_all(jobs).wait().unwrap();
            assert_eq!(
                moved,
                [2, 7],
                "the number of keys that existed, and another job"
            );
            let values = ["a", "c"].map(|key| value(&mut to, key));
            let expected = ["a", "c"].map(|key| Some(key.to_owned()));
            assert_eq!(values, expected, "the values at the new server");
        });
    }

    #[test]
    fn keys_are_moved_one_after_the_other_and_not_before_the_first_poll() {
        within_time(|| {
            let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
            let addr = listener.local_addr().unwrap();
            let mut client = KvsClient::connect(addr).wait().unwrap();
            let mut server = Wire::new(listener.accept().unwrap().0, Duration::from_secs(5));

            let keys = owned(&["a", "b"]);
            let mut moving = Task::new(move_all(client.clone(), client.clone(), keys));
            let mut before = Task::new(client.get("before".to_owned()));
            before.expect_not_ready();
            moving.expect_not_ready();
            let mut after = Task::new(client.get("after".to_owned()));
            after.expect_not_ready();

            let requests = ["before", "a", "after"].map(|_| server.receive());
            let expected =
                ["before", "a", "after"].map(|key| format!(r#"{{"Get":{{"key":"{key}"}}}}"#));
            assert_eq!(
                requests, expected,
                "the first poll of `move_all` sends one request: that for the first key"
            );
        });
    }

    #[test]
    fn a_task_sends_its_result() {
        within_time(|| {
            let ((_dir, a), (_dir2, mut b)) = (serve(), serve());
            let mut runtime = Runtime::new().unwrap();
            let mut from = runtime.block_on(KvsClient::connect(a.addr)).unwrap();
            let to = runtime.block_on(KvsClient::connect(b.addr)).unwrap();
            let set = from.set("a".to_owned(), "1".to_owned());
            runtime.block_on(set).unwrap();
            let mut moved = || {
                let (from, to) = (from.clone(), to.clone());
                let moved = future::lazy(|| spawn_move(from, to, owned(&["a", "b"])));
                let moved = runtime.block_on(moved);
                moved.expect("the task is gone, and has sent neither a number nor an error")
            };
            let moved_once = moved();
            assert!(
                matches!(moved_once, Ok(1)),
                "one key exists, but: {moved_once:?}"
            );

            let set = from.clone().set("a".to_owned(), "1".to_owned());
            set.wait().unwrap();
            b.stop();
            let moved_again = moved();
            assert!(
                matches!(moved_again, Err(KvsError::Connection { .. })),
                "the other server is gone, but: {moved_again:?}"
            );
        });
    }
}
