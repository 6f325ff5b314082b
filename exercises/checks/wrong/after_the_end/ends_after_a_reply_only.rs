//! Fails: an_error_of_the_reply_is_the_end: has polled a half again

use futures::{Async, Future, Poll, try_ready};

fn main() {}

/// Waits until a request is sent, and then for its reply.
struct Exchange<S, R> {
    /// `None` after the request was sent.
    sent: Option<S>,
    /// `None` after the end.
    reply: Option<R>,
}

impl<S, R> Exchange<S, R> {
    fn new(sent: S, reply: R) -> Exchange<S, R> {
        Exchange {
            sent: Some(sent),
            reply: Some(reply),
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

    fn poll(&mut self) -> Poll<R::Item, R::Error> {
        if let Some(sent) = &mut self.sent {
            try_ready!(sent.poll());
            self.sent = None;
        }
        let reply = self.reply.as_mut().expect("polled after completion");
        let item = try_ready!(reply.poll());
        self.reply = None;
        Ok(Async::Ready(item))
    }
}

