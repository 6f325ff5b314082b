// This exchange works, until it is polled after its end. It stays in its last state, and polls a
// future there that is done. That future may answer anything: a oneshot says that its sender is
// gone, although all went well.
//
// Let the exchange end. After a result, each further poll either panics, or returns NotReady and
// touches nothing. You may change the type with its bounds, and the body of `new`.
// `docs/by-hand.md`, "4. Do not poll after the end", and "Polling a finished future".

use futures::{Async, Future, Poll, try_ready};

fn main() {}

/// Waits until a request is sent, and then for its reply.
struct Exchange<S, R> {
    /// `None` after the request was sent.
    sent: Option<S>,
    reply: R,
}

impl<S, R> Exchange<S, R> {
    fn new(sent: S, reply: R) -> Exchange<S, R> {
        Exchange {
            sent: Some(sent),
            reply,
        }
    }
}

impl<S, R> Future for Exchange<S, R>
where
    S: Future,
    R: Future<Error = S::Error>,
{
    type Item = R::Item;
    type Error = R::Error;

    // TODO: there is no state for the end.
    fn poll(&mut self) -> Poll<R::Item, R::Error> {
        if let Some(sent) = &mut self.sent {
            try_ready!(sent.poll());
            self.sent = None;
        }
        self.reply.poll()
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
