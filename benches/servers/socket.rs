//! A socket that never waits, with the bytes that wait for it.

use std::io::{self, ErrorKind, Read, Write};

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

pub struct Socket {
    stream: TcpStream,
    /// The bytes to send.
    pub output: Vec<u8>,
    sent: usize,
    /// The bytes that were received.
    pub input: Vec<u8>,
}

impl Socket {
    /// Registers a socket, whose events have the number `n`.
    pub fn new(mut stream: TcpStream, registry: &Registry, n: usize) -> io::Result<Socket> {
        stream.set_nodelay(true)?;
        let both = Interest::READABLE | Interest::WRITABLE;
        registry.register(&mut stream, Token(n), both)?;
        Ok(Socket {
            stream,
            output: Vec::new(),
            sent: 0,
            input: Vec::new(),
        })
    }

    /// Sends as much of the output as the system takes.
    pub fn send(&mut self) -> io::Result<()> {
        while self.sent < self.output.len() {
            match self.stream.write(&self.output[self.sent..]) {
                Ok(n) => self.sent += n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        self.output.clear();
        self.sent = 0;
        Ok(())
    }

    /// Receives what has arrived, through the buffer `chunk`. At the end, this is an error.
    pub fn receive(&mut self, chunk: &mut [u8]) -> io::Result<()> {
        loop {
            match self.stream.read(chunk) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(n) => {
                    self.input.extend_from_slice(&chunk[..n]);
                    if n < chunk.len() {
                        // The next event reports more.
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }
}
