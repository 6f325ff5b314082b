//! Fails: the_attempts_have_a_limit: count the attempts

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
                Err(KvsError::Connect { .. }) => Ok(Loop::Continue(attempt + 1)),
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
