//! The peer of a connection: its socket, the buffers in both directions, and its clocks.

use std::fmt;
use std::io;

use futures::Poll;

use super::ahead::Ahead;
use super::clocks::{Clock, Clocks};
use super::input::Input;
use super::output::Output;
use super::socket::Socket;

/// A peer. In log lines it is its address.
pub(super) struct Peer {
    socket: Socket,
    name: String,
    pub(super) input: Input,
    /// The requests in the input that the engine knows.
    pub(super) ahead: Ahead,
    pub(super) output: Output,
    pub(super) clocks: Clocks,
}

impl Peer {
    pub(super) fn new(socket: Socket) -> Peer {
        let name = match socket.peer_addr() {
            Ok(addr) => addr.to_string(),
            Err(_) => "a peer that has disconnected".to_owned(),
        };
        Peer {
            socket,
            name,
            input: Input::default(),
            ahead: Ahead::default(),
            output: Output::default(),
            clocks: Clocks::default(),
        }
    }

    /// Reads once from the socket. Ready with 0 if the peer has closed its half.
    pub(super) fn read(&mut self) -> Poll<usize, io::Error> {
        let socket = &mut self.socket;
        self.input.read_with(|buffer| socket.poll_read(buffer))
    }

    /// Writes the output until it is empty or the socket's buffer is full. Returns the number of
    /// bytes.
    pub(super) fn write(&mut self) -> io::Result<usize> {
        let socket = &mut self.socket;
        let n = self.output.write_with(|bytes| socket.poll_write(bytes))?;
        if self.output.is_empty() {
            self.clocks.output = None;
        } else {
            self.clocks.output.get_or_insert_with(Clock::start);
        }
        Ok(n)
    }

    /// Discards the bytes that have arrived, and gives up waiting for the rest of a frame.
    pub(super) fn discard_input(&mut self) {
        self.input = Input::default();
        self.clocks.frame = None;
    }

    /// Discards everything, for a peer that can no longer be reached.
    pub(super) fn discard_all(&mut self) {
        self.discard_input();
        self.output = Output::default();
        self.clocks = Clocks::default();
    }

    /// Closes this half of the connection, and gives the peer a moment to close the other.
    pub(super) fn close_half(&mut self) -> io::Result<()> {
        self.socket.close_half()?;
        self.clocks.linger = Some(Clock::start());
        Ok(())
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
