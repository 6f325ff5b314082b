// `poll` asks once, and returns. It puts the state back first, because `mem::replace` has left
// `Done` there. The inner future has returned NotReady, so it has arranged the wake-up, and until
// then the thread runs the neighbours.

use std::mem;

use futures::{Async, Future, Poll};

fn main() {}

/// Resolves to the length of the value that `F` resolves to.
enum ValueLength<F> {
    WaitingForValue { value: F },
    Done,
}

fn value_length<F: Future<Item = String>>(value: F) -> ValueLength<F> {
    ValueLength::WaitingForValue { value }
}

impl<F: Future<Item = String>> Future for ValueLength<F> {
    type Item = usize;
    type Error = F::Error;

    fn poll(&mut self) -> Poll<usize, F::Error> {
        match mem::replace(self, ValueLength::Done) {
            ValueLength::WaitingForValue { mut value } => match value.poll()? {
                Async::Ready(value) => Ok(Async::Ready(value.len())),
                Async::NotReady => {
                    *self = ValueLength::WaitingForValue { value };
                    Ok(Async::NotReady)
                }
            },
            ValueLength::Done => panic!("polled after completion"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use futures::sync::oneshot;
    use futures::{Async, future};
    use support::{Task, within_time};

    /// Runs the closure on another thread, and returns its result if it returns at all.
    fn returns<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let (sender, result) = mpsc::channel();
        thread::spawn(move || {
            let _ = sender.send(run());
        });
        result.recv_timeout(Duration::from_secs(4)).ok()
    }

    #[test]
    fn a_neighbour_runs_while_it_waits() {
        within_time(|| {
            let (sender, value) = oneshot::channel();
            let both = move || {
                let neighbour = future::lazy(|| sender.send("value".to_owned()));
                let length = value_length(value).map_err(|error| error.to_string());
                Task::new(length.join(neighbour)).finish()
            };
            let items = returns(both).expect(
                "the first of two futures in a task keeps the second from running, which would \
                 send the value: poll must return when the value is not there",
            );
            assert_eq!(
                items,
                Ok((5, ())),
                "the neighbour sends the value, and the future has to wait for it"
            );
        });
    }

    #[test]
    fn it_is_woken_when_the_value_comes() {
        within_time(|| {
            let (sender, value) = oneshot::channel();
            let first_poll = || {
                let mut task = Task::new(value_length(value));
                task.expect_not_ready();
                task
            };
            let mut task = returns(first_poll).expect("a poll has to return, ready or not");
            assert!(
                !sender.is_canceled(),
                "the future that it waits for is dropped: put the state back"
            );
            task.expect_not_ready();
            sender.send("value".to_owned()).unwrap();
            assert_eq!(task.wakes(), 1, "the value wakes the task");
            assert_eq!(task.poll(), Ok(Async::Ready(5)));
        });
    }
}
