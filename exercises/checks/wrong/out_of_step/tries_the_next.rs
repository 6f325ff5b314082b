//! Fails: the_next_request_after_a_drop_gets_its_own_reply: b gets a reply, but only a was answered

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

    fn receive(&mut self, mut reply: String) {
        while let Some(sender) = self.due.pop_front() {
            match sender.send(reply) {
                Ok(()) => return,
                Err(unwanted) => reply = unwanted,
            }
        }
    }
}
