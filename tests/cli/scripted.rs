//! A server that answers as a test says, for what the real one does too seldom or too fast.

use std::net::{Shutdown, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use kvs::protocol::{Page, Request, Response};

use crate::common::{PATIENCE, Wire};

/// Serves connections, one after the other, with a function of its own for each.
pub fn serve(mut on_connection: impl FnMut(&mut Connection) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        for socket in listener.incoming() {
            let wire = Wire::new(socket.unwrap(), PATIENCE);
            on_connection(&mut Connection(wire));
        }
    });
    addr
}

pub struct Connection(Wire);

impl Connection {
    /// Returns the next request, or `None` at the end of the connection.
    pub fn next(&mut self) -> Option<Request> {
        let json = self.0.try_receive().ok()?;
        Some(serde_json::from_str(&json).unwrap())
    }

    pub fn reply(&mut self, reply: &Response) {
        self.0.send(&serde_json::to_string(reply).unwrap());
    }

    /// Ends the connection. Closing it would take back the replies that the client has not read.
    pub fn end(&mut self) {
        self.0.0.shutdown(Shutdown::Write).unwrap();
        while self.next().is_some() {}
    }
}

/// A server that has one scan, page by page.
pub struct Pages {
    pub addr: SocketAddr,
    asked: Arc<AtomicUsize>,
}

impl Pages {
    pub fn start(pages: Vec<Vec<(String, String)>>) -> Pages {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let addr = serve(move |connection| {
            while let Some(request) = connection.next() {
                count.fetch_add(1, Ordering::SeqCst);
                connection.reply(&Response::Scan(Box::new(page(&pages, &request))));
            }
        });
        Pages { addr, asked }
    }

    /// Returns how many pages clients have asked for.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn page(pages: &[Vec<(String, String)>], request: &Request) -> Page {
    let Request::Scan(scan) = request else {
        panic!("{request:?}");
    };
    let at: usize = match &scan.cursor {
        Some(cursor) => cursor.parse().unwrap(),
        None => 0,
    };
    let pairs = pages[at]
        .iter()
        .filter(|(key, _)| key.starts_with(&scan.prefix));
    let value = |value: &String| (!scan.keys_only).then(|| value.clone());
    Page {
        pairs: pairs
            .map(|(key, text)| (key.clone(), value(text)))
            .collect(),
        cursor: (at + 1 < pages.len()).then(|| (at + 1).to_string()),
    }
}
