// We take the state out, and put it back only to wait. So the end needs no code: after a reply, and
// after an error of either half, the state is `Done`. A poll that comes then is a mistake of the
// caller, who notices a panic.
//
// `fuse()` is the other way: around each half, or around the exchange. Then the later polls return
// NotReady, forever. That is right if the caller is a select that polls everything each time.

use std::mem;

use futures::{Async, Future, Poll};

fn main() {}

/// Waits until a request is sent, and then for its reply.
enum Exchange<S, R> {
    WaitingForRoom { sent: S, reply: R },
    WaitingForReply { reply: R },
    Done,
}

impl<S, R> Exchange<S, R> {
    fn new(sent: S, reply: R) -> Exchange<S, R> {
        Exchange::WaitingForRoom { sent, reply }
    }
}

impl<S, R> Future for Exchange<S, R>
where
    S: Future,
    R: Future<Error = S::Error>,
{
    type Item = R::Item;
    type Error = R::Error;

    fn poll(&mut self) -> Poll<R::Item, R::Error> {
        loop {
            match mem::replace(self, Exchange::Done) {
                Exchange::WaitingForRoom { mut sent, reply } => {
                    if sent.poll()?.is_ready() {
                        *self = Exchange::WaitingForReply { reply };
                    } else {
                        *self = Exchange::WaitingForRoom { sent, reply };
                        return Ok(Async::NotReady);
                    }
                }
                Exchange::WaitingForReply { mut reply } => {
                    let result = reply.poll()?;
                    if !result.is_ready() {
                        *self = Exchange::WaitingForReply { reply };
                    }
                    return Ok(result);
                }
                Exchange::Done => panic!("polled after completion"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{self, AssertUnwindSafe};

    use futures::sync::oneshot::{self, Canceled, Receiver};
    use futures::{Async, future};
    use support::{Task, within_time};

    /// A future that is ready at once. Polled after its end, it resolves to something else.
    fn once(result: Result<&'static str, &'static str>) -> Half {
        let mut result = Some(result);
        Box::new(future::poll_fn(move || {
            let result = result.take();
            let result = result.unwrap_or(Err("what a half returns after its end"));
            result.map(Async::Ready)
        }))
    }

    type Half = Box<dyn Future<Item = &'static str, Error = &'static str>>;

    /// Polls an exchange that has ended. It may panic, or return NotReady.
    fn poll_after_the_end(mut task: Task<Exchange<Half, Half>>) {
        for _ in 0..2 {
            let again = panic::catch_unwind(AssertUnwindSafe(|| task.poll()));
            if let Ok(result) = again {
                assert_eq!(
                    result,
                    Ok(Async::NotReady),
                    "an exchange that has ended has polled a half again"
                );
            }
        }
    }

    #[test]
    fn a_reply_is_the_end() {
        within_time(|| {
            let exchange = Exchange::new(once(Ok("sent")), once(Ok("reply")));
            let mut task = Task::new(exchange);
            assert_eq!(task.poll(), Ok(Async::Ready("reply")));
            poll_after_the_end(task);
        });
    }

    #[test]
    fn an_error_of_the_reply_is_the_end() {
        within_time(|| {
            let exchange = Exchange::new(once(Ok("sent")), once(Err("no reply")));
            let mut task = Task::new(exchange);
            assert_eq!(task.poll(), Err("no reply"));
            poll_after_the_end(task);
        });
    }

    #[test]
    fn an_error_of_the_request_is_the_end() {
        within_time(|| {
            let exchange = Exchange::new(once(Err("too long")), once(Ok("reply")));
            let mut task = Task::new(exchange);
            assert_eq!(task.poll(), Err("too long"));
            poll_after_the_end(task);
        });
    }

    #[test]
    fn before_the_end_it_waits_for_both_halves() {
        within_time(|| {
            let (room, sent): (_, Receiver<()>) = oneshot::channel();
            let (replies, reply) = oneshot::channel();
            let mut task = Task::new(Exchange::new(sent, reply));
            task.expect_not_ready();
            task.expect_not_ready();
            assert_eq!(
                task.wakes(),
                0,
                "nothing has happened, and the task is woken"
            );
            room.send(()).unwrap();
            task.expect_not_ready();
            let before = task.wakes();
            replies.send("reply").unwrap();
            assert!(task.wakes() > before, "the reply did not wake the task");
            assert_eq!(task.poll(), Ok::<_, Canceled>(Async::Ready("reply")));
        });
    }
}
