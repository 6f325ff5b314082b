// The `loop` polls a new attempt in the call that made it. When `poll` returns `NotReady`, the
// attempt has just done so, and will wake the task. The assignment drops the failed attempt.

use futures::{Future, Poll};
use kvs::KvsError;
use kvs::client::anon::KvsClient;

fn main() {
    let connect = || KvsClient::connect(([127, 0, 0, 1], 4000).into());
    match retry(3, connect).wait() {
        Ok(_client) => println!("connected"),
        Err(error) => println!("three attempts, and: {error}"),
    }
}

/// Makes at most `attempts` attempts. `start` makes the future of each.
fn retry<S: FnMut() -> F, F: Future<Error = KvsError>>(attempts: u32, mut start: S) -> Retry<S, F> {
    Retry {
        attempt: start(),
        start,
        left: attempts - 1,
    }
}

struct Retry<S, F> {
    start: S,
    attempt: F,
    /// How many attempts are left after this one.
    left: u32,
}

impl<S: FnMut() -> F, F: Future<Error = KvsError>> Future for Retry<S, F> {
    type Item = F::Item;
    type Error = KvsError;

    fn poll(&mut self) -> Poll<F::Item, KvsError> {
        loop {
            match self.attempt.poll() {
                Err(KvsError::Connect { .. }) if self.left > 0 => {
                    self.left -= 1;
                    self.attempt = (self.start)();
                }
                result => return result,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::{Async, future};
    use support::common::NOBODY;
    use support::{Request, Requests, Task, refused, serve, within_time};

    /// Retries a `get` of the test's server.
    fn get(
        attempts: u32,
        server: &Requests<u32>,
    ) -> Task<impl Future<Item = u32, Error = KvsError>> {
        let mut made = 0;
        Task::new(retry(attempts, move || -> Request<u32> {
            made += 1;
            assert!(
                made <= attempts,
                "attempt {made}, and the limit is {attempts}: count the attempts, so that it stops"
            );
            server.make("get")
        }))
    }

    #[test]
    fn the_first_success_is_the_result() {
        within_time(|| {
            let server = Requests::new();
            let mut task = get(3, &server);
            task.expect_not_ready();
            assert_eq!(server.sent().len(), 1, "attempts");
            server.answer("get", Ok(7));
            assert!(task.wakes() > 0, "the attempt is done, and no wake-up came");
            assert!(matches!(task.poll(), Ok(Async::Ready(7))), "the answer");
        });
    }

    #[test]
    fn the_next_attempt_is_polled_in_the_same_call() {
        within_time(|| {
            let server = Requests::new();
            let mut task = get(3, &server);
            task.expect_not_ready();
            for attempt in [2, 3] {
                server.answer("get", Err(refused()));
                task.expect_not_ready();
                assert_eq!(
                    server.sent().len(),
                    attempt,
                    "attempts that were polled: poll a new future in the call that makes it, or \
                     nothing wakes the task"
                );
            }
            server.answer("get", Ok(7));
            assert!(matches!(task.poll(), Ok(Async::Ready(7))), "the third one");
        });
    }

    #[test]
    fn attempts_that_fail_at_once_are_repeated_too() {
        within_time(|| {
            let mut results = [Err(refused()), Err(refused()), Ok(7)].into_iter();
            let start = || future::result(results.next().expect("three attempts are enough"));
            let result = Task::new(retry(3, start)).poll();
            assert!(
                matches!(result, Ok(Async::Ready(7))),
                "the first two of three attempts fail in their first poll, and the result is \
                 {result:?}: the new attempt may fail, too"
            );
        });
    }

    #[test]
    fn it_stops_after_the_last_attempt() {
        within_time(|| {
            for attempts in 1..4 {
                let server = Requests::new();
                let mut task = get(attempts, &server);
                for _ in 1..attempts {
                    task.expect_not_ready();
                    server.answer("get", Err(refused()));
                }
                task.expect_not_ready();
                assert_eq!(
                    server.sent().len(),
                    attempts as usize,
                    "attempts that were polled"
                );
                server.answer("get", Err(refused()));
                let result = task.poll();
                assert!(
                    matches!(result, Err(KvsError::Connect { .. })),
                    "all {attempts} attempts have failed, but the result is {result:?}"
                );
            }
        });
    }

    #[test]
    fn other_errors_end_it() {
        within_time(|| {
            let server = Requests::new();
            let mut task = get(3, &server);
            task.expect_not_ready();
            server.answer("get", Err(KvsError::KeyNotFound));
            assert!(
                matches!(task.poll(), Err(KvsError::KeyNotFound)),
                "the key does not exist, and another attempt would not help"
            );
        });
    }

    #[test]
    fn it_connects_when_the_server_is_there() {
        within_time(|| {
            let (_dir, server) = serve();
            let mut addrs = [NOBODY, NOBODY, server.addr].into_iter();
            let connect = retry(3, || KvsClient::connect(addrs.next().unwrap()));
            let mut client = connect.wait().unwrap();
            assert_eq!(client.get("color".to_owned()).wait().unwrap(), None);
        });
    }
}
