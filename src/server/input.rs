//! What has arrived from a peer and was not worked on yet.

use std::io;

use futures::{Async, Poll};
use tokio::io::AsyncRead;

use crate::error::ConnectionError;
use crate::protocol;

/// The room that is made for what may arrive.
const CHUNK: usize = 16 * 1024;

/// Bytes that come in at the end and go out at the beginning as frames. It takes no memory while
/// there is nothing in it, and never more for a frame than has arrived of it, and a chunk.
#[derive(Debug, Default)]
pub(super) struct Input {
    /// Those from `start` to `end` have arrived.
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Input {
    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// The memory that it may take to read on.
    pub(super) fn size_to_read(&self) -> usize {
        self.bytes.capacity().max(self.end - self.start + CHUNK)
    }

    /// Reads once. Ready with 0 at the end.
    pub(super) fn read_from(&mut self, socket: &mut impl AsyncRead) -> Poll<usize, io::Error> {
        if self.is_empty() {
            (self.start, self.end) = (0, 0);
        } else if self.start > 0 && self.bytes.len() - self.end < CHUNK {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.bytes.len() - self.end < CHUNK {
            self.bytes.resize(self.end + CHUNK, 0);
        }
        let read = socket.poll_read(&mut self.bytes[self.end..])?;
        match read {
            Async::Ready(n) => self.end += n,
            Async::NotReady if self.is_empty() => *self = Input::default(),
            Async::NotReady => {}
        }
        Ok(read)
    }

    /// Takes the next frame out, where all of it is there.
    pub(super) fn next_frame(&mut self, max: usize) -> Result<Option<&[u8]>, ConnectionError> {
        let arrived = &self.bytes[self.start..self.end];
        let Some(len) = protocol::frame_len(arrived, max)? else {
            return Ok(None);
        };
        let start = self.start + protocol::PREFIX_LEN;
        if self.end < start + len {
            return Ok(None);
        }
        self.start = start + len;
        Ok(Some(&self.bytes[start..start + len]))
    }
}
