//! The sockets of connections.

use std::io::{self, ErrorKind, Read};
use std::mem;
use std::net::{self, Shutdown, SocketAddr};

use futures::{Async, Poll, try_ready};
use mio06::Ready;
use mio06::net::TcpStream;
use tokio::io::AsyncWrite;
use tokio::reactor::PollEvented2;

use super::ends::{End, Ends};

/// A socket that does not read just to find nothing.
///
/// A read that gets fewer bytes than it has room for has emptied the socket. tokio's own socket
/// reads again all the same: its reactor reports the peer's end in the same way as more bytes, and
/// only once. If the end has come together with the last bytes, only another read finds it. Here
/// [`Ends`] reports the end, which saves one of three system calls for each request.
pub(super) struct Socket {
    /// `None` if the system does not report the end. It is dropped before the socket.
    end: Option<End>,
    io: PollEvented2<TcpStream>,
    /// Whether the last read has emptied the socket.
    is_empty: bool,
}

impl Socket {
    /// Takes over a socket, whose end `ends` reports.
    pub(super) fn new(socket: net::TcpStream, ends: &Ends) -> io::Result<Socket> {
        Ok(Socket {
            end: ends.watch(&socket).ok(),
            io: PollEvented2::new(TcpStream::from_stream(socket)?),
            is_empty: false,
        })
    }

    pub(super) fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.io.get_ref().peer_addr()
    }

    /// Reads once. Ready with 0 if the peer has closed its half.
    pub(super) fn poll_read(&mut self, buffer: &mut [u8]) -> Poll<usize, io::Error> {
        let readable = Ready::readable();
        if mem::take(&mut self.is_empty) {
            self.io.clear_read_ready(readable)?;
            self.end.iter().for_each(End::register);
        }
        // After the end, the reactor reports nothing more.
        if !self.end.as_ref().is_some_and(End::has_come) {
            try_ready!(self.io.poll_read_ready(readable));
        }
        match self.io.get_mut().read(buffer) {
            Ok(n) => {
                self.is_empty = self.end.is_some() && n < buffer.len();
                Ok(Async::Ready(n))
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.io.clear_read_ready(readable)?;
                Ok(Async::NotReady)
            }
            Err(error) => Err(error),
        }
    }

    /// Writes once. Ready with the number of bytes that the system has taken.
    pub(super) fn poll_write(&mut self, bytes: &[u8]) -> Poll<usize, io::Error> {
        self.io.poll_write(bytes)
    }

    /// Closes this half of the connection.
    pub(super) fn close_half(&self) -> io::Result<()> {
        self.io.get_ref().shutdown(Shutdown::Write)
    }
}
