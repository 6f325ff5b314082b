// A small client. It keeps the sender of a oneshot for each request, and gives each reply of the
// server to the next sender. Most of the time it works. But after the future of a request was
// dropped, the requests behind it get replies that are not theirs.
//
// TODO: find the bug, and mend it in one place. `docs/cancellation.md`, "How far has it come".

#![allow(unused, reason = "only the tests use it")]

use std::collections::VecDeque;

use futures::sync::oneshot;

fn main() {}

/// The client's end of a connection. The server replies in the order of the requests.
#[derive(Default)]
struct Connection {
    /// The requests that were sent to the server.
    sent: Vec<String>,
    /// A sender for each reply that is due, in the order of the requests.
    due: VecDeque<oneshot::Sender<String>>,
}

impl Connection {
    /// Sends a request, and returns the future of its reply.
    fn request(&mut self, request: &str) -> oneshot::Receiver<String> {
        let (sender, reply) = oneshot::channel();
        self.sent.push(request.to_owned());
        self.due.push_back(sender);
        reply
    }

    /// Passes on a reply that the server has sent.
    fn receive(&mut self, reply: String) {
        // A request whose future was dropped needs no reply, and should not use memory.
        self.due.retain(|sender| !sender.is_canceled());
        let sender = self.due.pop_front();
        let _ = sender.expect("a request for each reply").send(reply);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::Future;
    use support::{Task, within_time};

    /// Lets the server reply to the `n`th request.
    fn reply_to(connection: &mut Connection, n: usize) {
        let reply = format!("the reply to {}", connection.sent[n]);
        connection.receive(reply);
    }

    #[test]
    fn each_request_gets_its_own_reply() {
        within_time(|| {
            let mut connection = Connection::default();
            let replies = ["a", "b", "c"].map(|request| connection.request(request));
            (0..3).for_each(|n| reply_to(&mut connection, n));
            let replies = replies.map(|reply| reply.wait().unwrap());
            let own = ["the reply to a", "the reply to b", "the reply to c"];
            assert_eq!(replies, own);
        });
    }

    #[test]
    fn the_next_request_after_a_drop_gets_its_own_reply() {
        within_time(|| {
            let mut connection = Connection::default();
            drop(connection.request("a"));
            let mut reply = Task::new(connection.request("b"));
            reply_to(&mut connection, 0);
            let early = reply.poll().unwrap();
            assert!(
                early.is_not_ready(),
                "b gets a reply, but only a was answered: {early:?}"
            );
            reply_to(&mut connection, 1);
            assert_eq!(reply.finish().unwrap(), "the reply to b");
        });
    }

    #[test]
    fn a_request_may_be_dropped_in_the_middle() {
        within_time(|| {
            let mut connection = Connection::default();
            let [a, b, c] = ["a", "b", "c"].map(|request| connection.request(request));
            reply_to(&mut connection, 0);
            drop(b);
            reply_to(&mut connection, 1);
            reply_to(&mut connection, 2);
            assert_eq!(a.wait().unwrap(), "the reply to a");
            assert_eq!(c.wait().unwrap(), "the reply to c");
        });
    }

    #[test]
    fn a_request_leaves_nothing_behind_after_its_reply() {
        within_time(|| {
            let mut connection = Connection::default();
            drop(["a", "b"].map(|request| connection.request(request)));
            reply_to(&mut connection, 0);
            reply_to(&mut connection, 1);
            assert!(
                connection.due.is_empty(),
                "replies are due, but all have come"
            );
        });
    }
}
