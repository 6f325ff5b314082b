// The state of the loop is the number of the attempt and the length of the next pause. The clock
// begins when `pause` is called, so that call is in the closure that handles the error, and not
// before.

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
                let next = (attempt + 1, LONGEST.min(time * 2));
                Either::A(pause(time).map(move |()| Loop::Continue(next)))
            }
            // The two branches are two types of futures, and `Either` makes one of them.
            result => Either::B(future::result(result.map(Loop::Break))),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::Async;
    use std::cell::RefCell;
    use support::{Requests, Task, refused, within_time};

    /// A server and a clock that do what the test says.
    #[derive(Default)]
    struct World {
        server: Requests<u32>,
        clock: Requests<()>,
        /// The length of each pause, in milliseconds.
        pauses: RefCell<Vec<u128>>,
    }

    impl World {
        fn get(&self, attempts: u32) -> Task<impl Future<Item = u32, Error = KvsError>> {
            let pause = |time: Duration| {
                self.pauses.borrow_mut().push(time.as_millis());
                self.clock.make("pause")
            };
            Task::new(retry(attempts, || self.server.make("get"), pause))
        }

        /// Lets the running attempt fail, and returns the number of pauses since the beginning.
        fn fail(&self, task: &mut Task<impl Future<Item = u32, Error = KvsError>>) -> usize {
            self.server.answer("get", Err(refused()));
            task.expect_not_ready();
            self.pauses.borrow().len()
        }
    }

    #[test]
    fn the_next_attempt_waits_for_the_end_of_the_pause() {
        within_time(|| {
            let world = World::default();
            let mut task = world.get(3);
            task.expect_not_ready();
            let pauses = world.fail(&mut task);
            assert_eq!(pauses, 1, "pauses after the first failure");
            assert_eq!(world.clock.running(), 1, "pauses that were polled");
            assert_eq!(
                world.server.sent().len(),
                1,
                "attempts before the pause is over"
            );
            let wakes = task.wakes();
            world.clock.answer("pause", Ok(()));
            assert!(
                task.wakes() > wakes,
                "the pause is over, and no wake-up came"
            );
            task.expect_not_ready();
            assert_eq!(world.server.sent().len(), 2, "attempts after the pause");
            world.server.answer("get", Ok(7));
            assert!(matches!(task.poll(), Ok(Async::Ready(7))), "the answer");
        });
    }

    #[test]
    fn the_pause_grows_up_to_the_longest() {
        within_time(|| {
            let world = World::default();
            let mut task = world.get(6);
            task.expect_not_ready();
            for n in 1..6 {
                assert_eq!(world.fail(&mut task), n, "pauses after failure {n}");
                world.clock.answer("pause", Ok(()));
                task.expect_not_ready();
            }
            let pauses = world.pauses.borrow();
            assert_eq!(*pauses, [10, 20, 40, 50, 50], "the pauses, in milliseconds");
        });
    }

    #[test]
    fn no_pause_follows_the_last_attempt() {
        within_time(|| {
            let world = World::default();
            let mut task = world.get(2);
            task.expect_not_ready();
            world.fail(&mut task);
            world.clock.answer("pause", Ok(()));
            task.expect_not_ready();
            world.server.answer("get", Err(refused()));
            let result = task.poll();
            assert!(
                matches!(result, Err(KvsError::Connect { .. })),
                "both attempts have failed, but the result is {result:?}"
            );
            assert_eq!(world.pauses.borrow().len(), 1, "pauses for two attempts");
        });
    }

    #[test]
    fn a_success_and_other_errors_end_it_without_a_pause() {
        within_time(|| {
            for result in [Ok(7), Err(KvsError::KeyNotFound)] {
                let world = World::default();
                let task = world.get(3);
                world.server.answer("get", result.clone());
                let ended = task.finish();
                assert_eq!(format!("{ended:?}"), format!("{result:?}"), "the result");
                assert_eq!(world.pauses.borrow().len(), 0, "pauses");
            }
        });
    }
}
