// `poll` returns while the future waits, and the next call begins at the first line. So the place
// in the code has to be in the struct: `first` is there as long as the first step is not done. When
// it is done, there is no `return`: the second future is polled in the same call, and either it is
// ready, or it has arranged a wake-up.

use futures::{Future, Poll, try_ready};

fn main() {}

/// Runs `first`, and then resolves to the item of `second`.
struct TwoSteps<A, B> {
    /// `None` after the first step. This is the state of the machine.
    first: Option<A>,
    second: B,
}

impl<A, B> TwoSteps<A, B> {
    fn new(first: A, second: B) -> TwoSteps<A, B> {
        TwoSteps {
            first: Some(first),
            second,
        }
    }
}

impl<A, B> Future for TwoSteps<A, B>
where
    A: Future,
    B: Future<Error = A::Error>,
{
    type Item = B::Item;
    type Error = B::Error;

    fn poll(&mut self) -> Poll<B::Item, B::Error> {
        if let Some(first) = &mut self.first {
            try_ready!(first.poll());
            self.first = None; // a future that is done is of no more use, so drop it
        }
        self.second.poll()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    use futures::sync::oneshot::{self, Canceled};
    use futures::{Async, future};
    use kvs::client::manual::KvsClient;
    use support::{Task, serve, within_time};

    /// A second step that must not begin.
    fn too_early() -> impl Future<Item = (), Error = Canceled> {
        future::lazy(|| -> Result<(), Canceled> {
            panic!("the second step began before the first was done")
        })
    }

    /// Polls until the future is ready, woken or not. The other tests count the wake-ups.
    fn finish<F: Future>(future: F) -> Result<F::Item, F::Error> {
        let mut task = Task::new(future);
        loop {
            if let Async::Ready(item) = task.poll()? {
                return Ok(item);
            }
            thread::yield_now();
        }
    }

    #[test]
    fn the_first_step_is_not_polled_after_its_end() {
        within_time(|| {
            let mut is_done = false;
            let first = future::poll_fn(move || {
                assert!(
                    !is_done,
                    "the first step was polled again after its end: store how far you have come"
                );
                is_done = true;
                Ok(Async::Ready(()))
            });
            let (sender, second) = oneshot::channel();
            let mut task = Task::new(TwoSteps::new(first, second));
            task.expect_not_ready();
            task.expect_not_ready();
            sender.send("value").unwrap();
            assert_eq!(
                task.poll(),
                Ok(Async::Ready("value")),
                "both steps are done: is the second one polled?"
            );
        });
    }

    #[test]
    fn the_second_step_is_polled_as_soon_as_the_first_is_done() {
        within_time(|| {
            let (set, first) = oneshot::channel();
            let (get, second) = oneshot::channel();
            let mut task = Task::new(TwoSteps::new(first, second));
            task.expect_not_ready();
            assert_eq!(
                task.wakes(),
                0,
                "nothing has happened, and the task is woken"
            );
            set.send(())
                .expect("`poll` returned NotReady and dropped the first step: it is not done yet");
            task.expect_not_ready();
            let before = task.wakes();
            get.send("value").unwrap();
            assert!(
                task.wakes() > before,
                "no wake-up came: the poll that ended the first step has to poll the second, too"
            );
            assert_eq!(
                task.poll(),
                Ok(Async::Ready("value")),
                "the first step was done before, and the second is ready now"
            );
        });
    }

    #[test]
    fn the_second_step_waits_for_the_first() {
        within_time(|| {
            let (_sender, first) = oneshot::channel::<()>();
            let mut task = Task::new(TwoSteps::new(first, too_early()));
            task.expect_not_ready();
            task.expect_not_ready();
        });
    }

    #[test]
    fn an_error_of_the_first_step_is_the_end() {
        within_time(|| {
            let failed = future::err::<(), _>(Canceled);
            let mut task = Task::new(TwoSteps::new(failed, too_early()));
            assert_eq!(task.poll(), Err(Canceled));
        });
    }

    #[test]
    fn a_value_is_set_and_then_read() {
        within_time(|| {
            let (_dir, server) = serve();
            let mut client = KvsClient::connect(server.addr).wait().unwrap();
            let set = client.set("key".to_owned(), "value".to_owned());
            let get = client.get("key".to_owned());
            let value = finish(TwoSteps::new(set, get)).unwrap();
            assert_eq!(value.as_deref(), Some("value"), "the value on the server");
        });
    }
}
