// When `poll` returns `NotReady`, the request and the clock have both just done so. Each of them
// has the task, and can wake it. The request comes first, so a result that is there is never lost.

use std::io;
use std::time::{Duration, Instant};

use futures::{Async, Future, Poll, future, try_ready};
use tokio::timer::{self, Delay};

fn main() {
    let request = future::empty::<(), io::Error>();
    let clock = Delay::new(Instant::now() + Duration::from_millis(50));
    let limited = Limited {
        request: Some(request),
        clock,
    };
    let mut runtime = tokio::runtime::Runtime::new().unwrap();
    match runtime.block_on(limited) {
        Ok(()) => println!("done"),
        Err(LimitError::Elapsed(_request)) => println!("the time is over, the request is here"),
        Err(LimitError::Inner(error)) => println!("the request failed: {error}"),
        Err(LimitError::Timer(error)) => println!("the clock failed: {error}"),
    }
}

struct Limited<F, C> {
    /// `None` after the caller has it back.
    request: Option<F>,
    clock: C,
}

#[derive(Debug)]
enum LimitError<F, E> {
    /// The time is over. This is the request.
    Elapsed(F),
    /// The request failed.
    Inner(E),
    /// The clock failed.
    Timer(timer::Error),
}

impl<F, C> Future for Limited<F, C>
where
    F: Future,
    C: Future<Item = (), Error = timer::Error>,
{
    type Item = F::Item;
    type Error = LimitError<F, F::Error>;

    fn poll(&mut self) -> Poll<F::Item, Self::Error> {
        let request = self.request.as_mut().expect("polled after completion");
        if let Async::Ready(item) = request.poll().map_err(LimitError::Inner)? {
            self.request = None;
            return Ok(Async::Ready(item));
        }
        try_ready!(self.clock.poll().map_err(LimitError::Timer));
        // `self` is borrowed, so the request cannot be moved out of its field. `take` leaves
        // `None`.
        let request = self.request.take().expect("it was polled just now");
        Err(LimitError::Elapsed(request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use support::{Request, Requests, Task, within_time};

    type Get = Request<u32, &'static str>;
    type Clock = Request<(), timer::Error>;

    struct World {
        server: Requests<u32, &'static str>,
        time: Requests<(), timer::Error>,
        task: Task<Limited<Get, Clock>>,
    }

    fn limited() -> World {
        let (server, time) = (Requests::new(), Requests::new());
        let task = Task::new(Limited {
            request: Some(server.make("get")),
            clock: time.make("clock"),
        });
        World { server, time, task }
    }

    #[test]
    fn the_answer_wakes_the_task() {
        within_time(|| {
            let World {
                server, mut task, ..
            } = limited();
            task.expect_not_ready();
            server.answer("get", Ok(7));
            assert!(
                task.wakes() > 0,
                "the request has its answer, and no wake-up came: only the clock was polled"
            );
            let result = task.poll();
            assert!(
                matches!(result, Ok(Async::Ready(7))),
                "the request has its answer, but the result is {result:?}"
            );
        });
    }

    #[test]
    fn the_end_of_the_time_wakes_the_task() {
        within_time(|| {
            let World { time, mut task, .. } = limited();
            task.expect_not_ready();
            time.answer("clock", Ok(()));
            assert!(
                task.wakes() > 0,
                "the time is over, and no wake-up came: only the request was polled"
            );
            let result = task.poll();
            assert!(
                matches!(result, Err(LimitError::Elapsed(_))),
                "the time is over, but the result is {result:?}"
            );
        });
    }

    #[test]
    fn a_result_that_is_there_is_not_lost() {
        within_time(|| {
            for is_polled_before in [true, false] {
                let World {
                    server,
                    time,
                    mut task,
                } = limited();
                if is_polled_before {
                    task.expect_not_ready();
                }
                time.answer("clock", Ok(()));
                server.answer("get", Ok(7));
                assert!(
                    matches!(task.poll(), Ok(Async::Ready(7))),
                    "the result and the end of the time are there, and the result has to win"
                );
            }
        });
    }

    #[test]
    fn a_spurious_poll_changes_nothing() {
        within_time(|| {
            let World {
                server, mut task, ..
            } = limited();
            for _ in 0..3 {
                task.expect_not_ready();
            }
            assert_eq!(task.wakes(), 0, "wake-ups, although nothing has happened");
            server.answer("get", Ok(7));
            assert!(matches!(task.poll(), Ok(Async::Ready(7))), "the answer");
        });
    }

    #[test]
    fn the_request_comes_back_and_can_go_on() {
        within_time(|| {
            let World {
                server,
                time,
                mut task,
            } = limited();
            task.expect_not_ready();
            time.answer("clock", Ok(()));
            let Err(LimitError::Elapsed(request)) = task.poll() else {
                panic!("the time is over, and the request should come back");
            };
            assert_eq!(server.running(), 1, "requests that still run");
            server.answer("get", Ok(7));
            assert_eq!(Task::new(request).finish(), Ok(7), "the late answer");
        });
    }

    #[test]
    fn errors_pass_through() {
        within_time(|| {
            let World {
                server, mut task, ..
            } = limited();
            server.answer("get", Err("busy"));
            assert!(
                matches!(task.poll(), Err(LimitError::Inner("busy"))),
                "the request failed: pass its error on"
            );
            let World { time, mut task, .. } = limited();
            time.answer("clock", Err(timer::Error::shutdown()));
            let result = task.poll();
            assert!(
                matches!(result, Err(LimitError::Timer(error)) if error.is_shutdown()),
                "the clock failed: pass its error on"
            );
        });
    }
}
