//! Fails: an_error_of_the_request_is_the_end: has polled a half again

use futures::future::Fuse;
use futures::{Future, Poll, try_ready};

fn main() {}

/// Waits until a request is sent, and then for its reply.
struct Exchange<S, R: Future> {
    /// `None` after the request was sent.
    sent: Option<S>,
    reply: Fuse<R>,
}

impl<S, R: Future> Exchange<S, R> {
    fn new(sent: S, reply: R) -> Exchange<S, R> {
        Exchange {
            sent: Some(sent),
            reply: reply.fuse(),
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
        self.reply.poll()
    }
}

