//! Fails: a_request_that_is_too_long_says_so: called `Result::unwrap()` on an `Err` value: TooLarge

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
                    if sent.poll().unwrap().is_not_ready() {
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

