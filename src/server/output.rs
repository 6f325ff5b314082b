//! The replies of a connection that have not been sent yet.

use std::cell::Cell;
use std::io;
use std::mem;

use futures::{Async, Poll};

use crate::protocol::{self, Response};

/// The number of bytes from which no more replies are added.
const FULL: usize = 64 * 1024;

/// The capacity up to which an empty buffer is kept for the next connection that needs one.
const MAX_SPARE: usize = 16 * 1024;

thread_local! {
    /// An empty buffer. A connection needs one only from its first reply until all are sent.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A buffer of replies as frames. It is empty, and has no memory, once the socket has taken all of
/// its bytes.
#[derive(Debug, Default)]
pub(super) struct Output {
    bytes: Vec<u8>,
    /// The number of bytes that the socket has taken.
    sent: usize,
}

impl Output {
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes.len() >= FULL
    }

    /// Returns the number of bytes, including those that the socket has taken.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Returns the memory that the replies take.
    pub(super) fn size(&self) -> usize {
        match self.bytes.capacity() {
            // The replies of another connection may have made the buffer as long as it is. No
            // request is refused for that.
            0..=MAX_SPARE => self.bytes.len(),
            capacity => capacity,
        }
    }

    /// Appends a reply.
    pub(super) fn push(&mut self, reply: &Response) {
        self.use_spare();
        protocol::write_frame(reply, &mut self.bytes);
    }

    /// Appends the reply to a get, if that needs no JSON serializer. Returns whether it did.
    pub(super) fn push_plain_value(&mut self, value: &str) -> bool {
        self.use_spare();
        protocol::write_value_frame(value, &mut self.bytes)
    }

    /// Appends a reply that is a frame already.
    pub(super) fn push_frame(&mut self, reply: &[u8]) {
        self.use_spare();
        self.bytes.extend_from_slice(reply);
    }

    fn use_spare(&mut self) {
        // With the spare buffer, most replies allocate nothing.
        if self.bytes.capacity() == 0 {
            self.bytes = SPARE.take();
        }
    }

    /// Removes the replies after the first `len` bytes, and frees their memory.
    pub(super) fn truncate(&mut self, len: usize) {
        self.bytes.truncate(len);
        self.bytes.shrink_to_fit();
    }

    /// Calls `write` until it has taken all bytes or would block. Returns the number of bytes that
    /// it has taken.
    ///
    /// # Errors
    ///
    /// The error of `write`, or [`io::ErrorKind::WriteZero`] if it takes nothing.
    pub(super) fn write_with(
        &mut self,
        mut write: impl FnMut(&[u8]) -> Poll<usize, io::Error>,
    ) -> io::Result<usize> {
        let before = self.sent;
        while self.sent < self.bytes.len() {
            match write(&self.bytes[self.sent..])? {
                // Without this, a writer that takes nothing would keep the loop running for ever.
                Async::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
                Async::Ready(n) => self.sent += n,
                Async::NotReady => return Ok(self.sent - before),
            }
        }
        let taken = self.sent - before;
        self.give_back();
        Ok(taken)
    }

    /// Leaves the buffer, which has been sent, to the next connection.
    fn give_back(&mut self) {
        self.sent = 0;
        let mut bytes = mem::take(&mut self.bytes);
        // A longer buffer is freed, so that a thread does not keep the memory of its longest reply.
        if (1..=MAX_SPARE).contains(&bytes.capacity()) {
            bytes.clear();
            SPARE.set(bytes);
        }
    }
}
