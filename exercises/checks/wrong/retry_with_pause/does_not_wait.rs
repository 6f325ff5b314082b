//! Fails: the_next_attempt_waits_for_the_end_of_the_pause: pauses that were polled

use std::io;
use std::time::{Duration, Instant};

use futures::Future;
use futures::future::{self, Either, Loop};
use kvs::KvsError;
use kvs::client::anon::KvsClient;
use tokio::timer::Delay;

fn main() {
    let connect = || KvsClient::connect(([127, 0, 0, 1], 4000).into());
    let pause = |time| {
        println!("pause for {time:?}");
        Delay::new(Instant::now() + time).map_err(|error| io::Error::other(error).into())
    };
    let mut runtime = tokio::runtime::current_thread::Runtime::new().unwrap();
    match runtime.block_on(retry(5, connect, pause)) {
        Ok(_client) => println!("connected"),
        Err(error) => println!("five attempts, and: {error}"),
    }
}

const FIRST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_millis(50);

/// Makes at most `attempts` attempts, and repeats after `KvsError::Connect`. `pause` makes a future
/// that resolves after a time. That time begins when the future is made.
fn retry<F, P>(
    attempts: u32,
    mut start: impl FnMut() -> F,
    pause: impl Fn(Duration) -> P + Copy,
) -> impl Future<Item = F::Item, Error = KvsError>
where
    F: Future<Error = KvsError>,
    P: Future<Item = (), Error = KvsError>,
{
    future::loop_fn((1, FIRST), move |(attempt, time)| {
        start().then(move |result| match result {
            Err(KvsError::Connect { .. }) if attempt < attempts => {
                drop(pause(time));
                Ok(Loop::Continue((attempt + 1, LONGEST.min(time * 2))))
            }
            result => result.map(Loop::Break),
        })
    })
}
