//! The wire between the client and the server. It passes something on only when the script says so.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener};

use super::log::{Event, Log};
use super::net::{ANY_PORT, PATIENCE, Wire, frame};

/// Both ends of the wire.
pub struct Proxy {
    client: Wire,
    /// `None` if the script answers.
    server: Option<Wire>,
    /// The requests that have been sent and not been answered.
    requests: usize,
    /// Replies that the client has not got yet.
    replies: VecDeque<String>,
    log: Log,
}

/// A proxy that waits for its client.
pub struct Listening {
    listener: TcpListener,
    server: Option<SocketAddr>,
}

impl Listening {
    /// Returns a proxy to `server`, or one whose script answers.
    pub fn new(server: Option<SocketAddr>) -> Listening {
        Listening {
            listener: TcpListener::bind(ANY_PORT).expect("there is a free port"),
            server,
        }
    }

    pub fn addr(&self) -> SocketAddr {
        let addr = self.listener.local_addr();
        addr.expect("a listener has an address")
    }

    pub fn accept(self, log: Log) -> Proxy {
        let (socket, _) = self.listener.accept().expect("the client has connected");
        Proxy {
            client: Wire::new(socket, PATIENCE),
            server: self.server.map(Wire::connect),
            requests: 0,
            replies: VecDeque::new(),
            log,
        }
    }
}

impl Proxy {
    /// Reads the bytes that the client has sent, which are whole requests, and passes them on.
    pub fn pass_requests(&mut self) {
        let mut bytes = Vec::new();
        let mut bodies = Vec::new();
        while bodies.is_empty() {
            let mut chunk = vec![0; 64 * 1024];
            let n = self.client.0.read(&mut chunk).expect("the client sends");
            assert!(n > 0, "the client has closed the connection");
            bytes.extend_from_slice(&chunk[..n]);
            bodies = whole_frames(&bytes).unwrap_or_default();
        }
        self.requests += bodies.len();
        self.log.add(Event::Sent {
            task: "connection".to_owned(),
            bytes: bytes.len(),
            text: summary(&bodies),
        });
        if let Some(server) = &mut self.server {
            server.0.write_all(&bytes).expect("the server reads");
        }
    }

    /// Reads the server's replies to all requests.
    pub fn serve(&mut self) {
        let server = self.server.as_mut().expect("the script does not answer");
        let replies: Vec<_> = (0..self.requests).map(|_| server.receive()).collect();
        self.requests = 0;
        self.note(replies);
    }

    /// Replies instead of a server.
    pub fn answer(&mut self, replies: &[&str]) {
        self.requests -= replies.len();
        self.note(replies.iter().map(|reply| (*reply).to_owned()).collect());
        self.log.say("The script replies in place of a server.");
    }

    fn note(&mut self, replies: Vec<String>) {
        self.log.add(Event::Served {
            bytes: replies.iter().map(|reply| frame(reply).len()).sum(),
            text: summary(&replies),
        });
        self.replies.extend(replies);
    }

    /// Passes `n` replies on to the client, together.
    pub fn pass_replies(&mut self, n: usize) {
        let replies: Vec<_> = self.replies.drain(..n).collect();
        let bytes: Vec<u8> = replies.iter().flat_map(frame).collect();
        // The reactor may wake a task as soon as the bytes are written.
        self.log.add(Event::Arrived {
            bytes: bytes.len(),
            text: summary(&replies),
        });
        if n > 1 {
            self.log.say(&format!(
                "{n} replies arrive together at the client's socket."
            ));
        }
        self.client.0.write_all(&bytes).expect("the client reads");
    }

    /// Closes the connection, as a server does.
    pub fn close(&mut self) {
        self.log.add(Event::Closed {
            by: "server".to_owned(),
        });
        let closed = self.client.0.shutdown(Shutdown::Write);
        closed.expect("the client has not closed the connection");
    }
}

/// Returns the bodies of the frames in `bytes`, if the last one is whole.
fn whole_frames(mut bytes: &[u8]) -> Option<Vec<String>> {
    let mut bodies = Vec::new();
    while !bytes.is_empty() {
        let (prefix, rest) = bytes.split_first_chunk()?;
        let (body, rest) = rest.split_at_checked(u32::from_be_bytes(*prefix) as usize)?;
        bodies.push(String::from_utf8_lossy(body).into_owned());
        bytes = rest;
    }
    Some(bodies)
}

/// Returns the first of some bodies, and their number if there are more.
fn summary(bodies: &[String]) -> String {
    match bodies {
        [body] => body.clone(),
        bodies if bodies.len() < 4 => bodies.join(" "),
        bodies => format!("{} and {} more", bodies[0], bodies.len() - 1),
    }
}
