//! Fails: a_request_leaves_nothing_behind_after_its_reply: replies are due, but all have come

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

    fn receive(&mut self, reply: String) {
        if self.due.front().is_some_and(|sender| sender.is_canceled()) {
            return; // the reply is late: throw it away
        }
        let sender = self.due.pop_front();
        let _ = sender.expect("a request for each reply").send(reply);
    }
}
