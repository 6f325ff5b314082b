// From the inside to the outside: the attempts of one key, the bound around all keys, and the time
// limit around everything. The loop is inside of the buffer, so a repeated key keeps its place in
// the bound, and no other key is copied twice. When the time is over, `select` fails, and the copy
// is dropped.

use std::io;
use std::time::{Duration, Instant};

use futures::future::{self, Loop};
use futures::{Future, Stream, stream};
use kvs::KvsError;
use kvs::client::anon::KvsClient;
use tokio::timer::Delay;

fn main() {
    let connect = |port| KvsClient::connect(([127, 0, 0, 1], port).into());
    let clock = Delay::new(Instant::now() + Duration::from_secs(5));
    let clock = clock.map_err(|error| io::Error::other(error).into());
    let copied = connect(4000)
        .join(connect(4001))
        .and_then(|(mut old, mut new)| {
            let keys = (1..100).map(|n| format!("user:{n}")).collect();
            let get = move |key| old.get(key);
            let set = move |key, value| new.set(key, value);
            copy_all(keys, Servers { get, set }, clock)
        });
    let mut runtime = tokio::runtime::current_thread::Runtime::new().unwrap();
    println!("{:?}", runtime.block_on(copied));
}

const BOUND: usize = 3;
const ATTEMPTS: u32 = 3;

/// The two servers: `get` makes a request to the old one, and `set` to the new one.
#[derive(Clone)]
struct Servers<G, S> {
    get: G,
    set: S,
}

/// Copies one key. Resolves to whether the old server has it.
fn copy<G, S, FG, FS>(
    servers: Servers<G, S>,
    key: String,
) -> impl Future<Item = bool, Error = KvsError>
where
    G: FnMut(String) -> FG,
    S: FnMut(String, String) -> FS,
    FG: Future<Item = Option<String>, Error = KvsError>,
    FS: Future<Item = (), Error = KvsError>,
{
    let Servers { mut get, mut set } = servers;
    get(key.clone()).and_then(move |value| {
        let is_there = value.is_some();
        let set = value.map(|value| set(key, value)); // an `Option` of a future is a future
        Future::map(set, move |_| is_there)
    })
}

/// Copies all keys that the old server has. Resolves to their number.
fn copy_all<G, S, FG, FS, C>(
    keys: Vec<String>,
    servers: Servers<G, S>,
    clock: C,
) -> impl Future<Item = usize, Error = KvsError>
where
    G: FnMut(String) -> FG + Clone,
    S: FnMut(String, String) -> FS + Clone,
    FG: Future<Item = Option<String>, Error = KvsError>,
    FS: Future<Item = (), Error = KvsError>,
    C: Future<Item = (), Error = KvsError>,
{
    let copies = stream::iter_ok(keys).map(move |key| {
        let servers = servers.clone();
        future::loop_fn(1, move |attempt| {
            copy(servers.clone(), key.clone()).then(move |result| match result {
                Err(KvsError::Connect { .. }) if attempt < ATTEMPTS => {
                    Ok(Loop::Continue(attempt + 1))
                }
                result => result.map(Loop::Break),
            })
        })
    });
    let copied = copies
        .buffer_unordered(BOUND)
        .filter(|is_there| *is_there)
        .fold(0, |count, _| Ok::<_, KvsError>(count + 1));
    let limit = clock.and_then(|()| Err(too_late()));
    copied
        .select(limit)
        .map(|(count, _clock)| count)
        .map_err(|(error, _loser)| error)
}

fn too_late() -> KvsError {
    io::Error::from(io::ErrorKind::TimedOut).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::Async;
    use support::{Requests, Task, refused, serve, within_time};

    #[derive(Default)]
    struct World {
        old: Requests<Option<String>>,
        new: Requests<()>,
        clock: Requests<()>,
    }

    impl World {
        fn copy(&self, keys: &[&str]) -> Task<impl Future<Item = usize, Error = KvsError>> {
            let keys = keys.iter().map(|&key| key.to_owned()).collect();
            let get = |key: String| self.old.make(key);
            let set = |key: String, _: String| self.new.make(key);
            Task::new(copy_all(
                keys,
                Servers { get, set },
                self.clock.make("clock"),
            ))
        }

        /// Answers the `get` of a key.
        fn value(&self, key: &str) {
            self.old.answer(key, Ok(Some("value".to_owned())));
        }
    }

    #[test]
    fn the_bound_is_kept_and_used() {
        within_time(|| {
            let world = World::default();
            let mut task = world.copy(&["a", "b", "c", "d", "e"]);
            task.expect_not_ready();
            assert_eq!(
                world.old.running(),
                3,
                "keys at once, with a bound of three"
            );
            for key in ["b", "c"] {
                let begun = world.old.sent().len();
                world.value(key);
                task.expect_not_ready();
                let now = world.old.sent().len();
                assert_eq!(
                    now, begun,
                    "keys that were begun: the `set` is a part of the copy"
                );
                world.new.answer(key, Ok(()));
                task.expect_not_ready();
            }
            assert_eq!(
                world.old.sent(),
                ["a", "b", "c", "d", "e"],
                "the keys that were begun: `a` is slow, and the others do not need it"
            );
            for key in ["a", "d", "e"] {
                world.value(key);
                task.expect_not_ready();
                world.new.answer(key, Ok(()));
            }
            assert_eq!(task.finish().unwrap(), 5, "keys that were copied");
            assert_eq!(world.old.most(), 3, "requests at once, at most");
        });
    }

    #[test]
    fn a_key_that_fails_is_repeated() {
        within_time(|| {
            let world = World::default();
            let mut task = world.copy(&["a", "b"]);
            task.expect_not_ready();
            world.value("b");
            task.expect_not_ready();
            world.new.answer("b", Ok(()));
            world.old.answer("a", Err(refused()));
            task.expect_not_ready();
            world.value("a");
            task.expect_not_ready();
            world.new.answer("a", Err(refused()));
            task.expect_not_ready();
            assert_eq!(
                world.old.sent(),
                ["a", "b", "a", "a"],
                "the keys that were read: repeat the copy of one key, from its `get` on, at once"
            );
            world.value("a");
            task.expect_not_ready();
            world.new.answer("a", Ok(()));
            assert_eq!(task.finish().unwrap(), 2, "keys that were copied");
        });
    }

    #[test]
    fn the_attempts_have_a_limit() {
        within_time(|| {
            let world = World::default();
            let mut task = world.copy(&["a"]);
            for attempt in 1..=ATTEMPTS {
                let result = task.poll();
                assert!(
                    matches!(result, Ok(Async::NotReady)),
                    "attempt {attempt} should run, but the result is {result:?}"
                );
                world.old.answer("a", Err(refused()));
            }
            let result = task.poll();
            assert!(
                matches!(result, Err(KvsError::Connect { .. })),
                "all attempts have failed, but the result is {result:?}: count the attempts"
            );
        });
    }

    #[test]
    fn each_key_has_its_own_attempts() {
        within_time(|| {
            let world = World::default();
            let mut task = world.copy(&["a", "b"]);
            task.expect_not_ready();
            for _ in 1..ATTEMPTS {
                for key in ["a", "b"] {
                    world.old.answer(key, Err(refused()));
                }
                let result = task.poll();
                assert!(
                    matches!(result, Ok(Async::NotReady)),
                    "each key has {ATTEMPTS} attempts, but the result is {result:?}"
                );
            }
            for key in ["a", "b"] {
                world.old.answer(key, Ok(None));
            }
            assert_eq!(task.finish().unwrap(), 0, "keys that the old server has");
        });
    }

    #[test]
    fn other_errors_are_not_repeated() {
        within_time(|| {
            let world = World::default();
            let mut task = world.copy(&["a"]);
            task.expect_not_ready();
            world.old.answer("a", Err(KvsError::KeyNotFound));
            assert!(
                matches!(task.poll(), Err(KvsError::KeyNotFound)),
                "another attempt would have the same answer"
            );
        });
    }

    #[test]
    fn the_clock_ends_it() {
        within_time(|| {
            let world = World::default();
            let mut task = world.copy(&["a", "b"]);
            task.expect_not_ready();
            world.value("a");
            task.expect_not_ready();
            assert_eq!(
                world.clock.running(),
                1,
                "clocks that run: poll the clock together with the copy"
            );
            let wakes = task.wakes();
            world.clock.answer("clock", Ok(()));
            assert!(
                task.wakes() > wakes,
                "the time is over, and no wake-up came"
            );
            let result = task.poll();
            assert!(
                matches!(&result, Err(KvsError::Io { source, .. })
                    if source.kind() == io::ErrorKind::TimedOut),
                "the time is over, but the result is {result:?}"
            );
            drop(task);
            assert_eq!(world.old.running(), 0, "requests that run after the end");
        });
    }

    #[test]
    fn it_copies_from_server_to_server() {
        within_time(|| {
            let ((_dir, old), (_other_dir, new)) = (serve(), serve());
            let mut old = KvsClient::connect(old.addr).wait().unwrap();
            let mut new = KvsClient::connect(new.addr).wait().unwrap();
            for n in 0..10 {
                old.set(format!("key:{n}"), n.to_string()).wait().unwrap();
            }
            let keys = (0..12).map(|n| format!("key:{n}")).collect();
            let mut to = new.clone();
            let get = move |key| old.get(key);
            let set = move |key, value| to.set(key, value);
            let copied = copy_all(keys, Servers { get, set }, future::empty());
            assert_eq!(copied.wait().unwrap(), 10, "keys that were copied");
            let value = new.get("key:7".to_owned()).wait().unwrap();
            assert_eq!(value.as_deref(), Some("7"), "a value on the new server");
        });
    }
}
