// `poll` has three answers, and the `if let` knew one of them: an error went the way of `Ready`.
// The second half then reports an error of its own, since its sender was dropped with the request.
// The `?` leaves with the first error, which is the cause. The state is `Done` by then.

use std::mem;

use futures::{Async, Future, Poll};
use kvs::KvsError;
use kvs::client::connection::{Connection, Receiving, Sending};
use kvs::protocol::{Request, Response};

fn main() {}

/// A request and its reply.
enum Exchange {
    WaitingForRoom { sent: Sending, reply: Receiving },
    WaitingForReply { reply: Receiving },
    Done,
}

fn exchange(connection: &Connection, request: &Request) -> Exchange {
    let (sent, reply) = connection.request(request);
    Exchange::WaitingForRoom { sent, reply }
}

impl Future for Exchange {
    type Item = Response;
    type Error = KvsError;

    fn poll(&mut self) -> Poll<Response, KvsError> {
        loop {
            match mem::replace(self, Exchange::Done) {
                Exchange::WaitingForRoom { mut sent, reply } => {
                    if !sent.poll()?.is_ready() {
                        *self = Exchange::WaitingForRoom { sent, reply };
                        return Ok(Async::NotReady);
                    }
                    *self = Exchange::WaitingForReply { reply };
                }
                Exchange::WaitingForReply { mut reply } => match reply.poll()? {
                    Async::Ready(response) => return Ok(Async::Ready(response)),
                    Async::NotReady => {
                        *self = Exchange::WaitingForReply { reply };
                        return Ok(Async::NotReady);
                    }
                },
                Exchange::Done => panic!("polled after completion"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    use futures::Async;
    use kvs::ConnectionError;
    use kvs::protocol::MAX_FRAME_LEN;
    use support::{Task, serve, within_time};

    fn set(value: String) -> Request {
        let key = "key".to_owned();
        Request::Set { key, value }
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
    fn a_request_that_is_too_long_says_so() {
        within_time(|| {
            let (_dir, server) = serve();
            let connection = Connection::open(server.addr).wait().unwrap();
            let mut too_long = Task::new(exchange(&connection, &set("v".repeat(MAX_FRAME_LEN))));
            let refused = too_long.poll();
            assert!(
                matches!(refused, Err(KvsError::TooLarge { .. })),
                "the first half failed with TooLarge, but the caller gets {refused:?}"
            );

            let next = exchange(&connection, &set("short".to_owned()));
            finish(next).expect("the next request is fine");
        });
    }

    #[test]
    fn a_broken_connection_says_why() {
        within_time(|| {
            let (_dir, mut server) = serve();
            let connection = Connection::open(server.addr).wait().unwrap();
            let first = exchange(&connection, &set("short".to_owned()));
            finish(first).expect("the server runs");

            server.stop();
            let read = || {
                exchange(
                    &connection,
                    &Request::Get {
                        key: "key".to_owned(),
                    },
                )
            };
            let _ = finish(read()); // the client notices the end now at the latest
            let Err(KvsError::Connection { cause, .. }) = finish(read()) else {
                panic!("a request succeeds, or fails for another reason, without a connection");
            };
            assert!(
                !matches!(cause, ConnectionError::Abandoned),
                "the first half knows why the connection broke, but the caller gets {cause:?}"
            );
        });
    }
}
