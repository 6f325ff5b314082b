//! A server whose replies the test writes.

use std::net::{SocketAddr, TcpListener};
use std::thread::{self, JoinHandle};

use crate::common::{ANY_PORT, PATIENCE, Wire};

pub struct Script {
    pub addr: SocketAddr,
    thread: JoinHandle<()>,
}

impl Script {
    /// Accepts one connection, and plays `script` on it.
    pub fn start(script: impl FnOnce(Wire) + Send + 'static) -> Script {
        let listener = TcpListener::bind(ANY_PORT).unwrap();
        let addr = listener.local_addr().unwrap();
        let thread = thread::spawn(move || {
            let (socket, _) = listener.accept().unwrap();
            script(Wire::new(socket, PATIENCE));
        });
        Script { addr, thread }
    }

    /// Waits until the script has been played to its end.
    pub fn finish(self) {
        self.thread.join().unwrap();
    }
}
