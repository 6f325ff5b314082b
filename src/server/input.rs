//! The bytes that have arrived from a peer and are not parsed yet.

use std::cell::Cell;
use std::io;
use std::iter;
use std::mem;
use std::ops::Range;

use futures::{Async, Poll, try_ready};

use crate::error::ConnectionError;
use crate::protocol;

/// The room in bytes for one read, at least.
const CHUNK: usize = 16 * 1024;

/// The number of bytes up to which the beginning of a frame is copied to the buffer of the thread.
const SHORT: usize = CHUNK / 2;

thread_local! {
    /// The buffer into which the connections of this thread read, one after the other. Most frames
    /// are short and arrive whole, so connections that wait for a frame need no memory of their
    /// own.
    static ARRIVALS: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A buffer for bytes that arrive at its end, and leave it at its beginning as frames. Between the
/// turns of its connection, it takes at most a [`CHUNK`] more than twice the bytes that have
/// arrived. If there are none, it takes no memory.
#[derive(Debug, Default)]
pub(super) struct Input {
    /// The bytes from `start` to `end` have arrived.
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    /// Whether `bytes` is the buffer of the thread.
    is_lent: bool,
}

impl Input {
    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    fn len(&self) -> usize {
        self.end - self.start
    }

    /// Returns the memory that the next read takes.
    pub(super) fn size_to_read(&self) -> usize {
        let len = self.len();
        if len <= SHORT {
            // The buffer of the thread has room for the bytes and for a read.
            CHUNK
        } else if !self.is_lent && len + CHUNK <= self.bytes.capacity() {
            self.bytes.capacity()
        } else {
            // Twice as much, so that moving the bytes costs no more than their arrival did, but no
            // more than the frame needs.
            (2 * len).min(self.frame_end()).max(len + CHUNK)
        }
    }

    /// Calls `read` once. Ready with 0 at the end of the stream.
    pub(super) fn read_with(
        &mut self,
        read: impl FnOnce(&mut [u8]) -> Poll<usize, io::Error>,
    ) -> Poll<usize, io::Error> {
        if self.len() <= SHORT {
            self.borrow();
        } else {
            self.give_back();
            self.grow();
        }
        let n = try_ready!(read(&mut self.bytes[self.end..]));
        self.end += n;
        Ok(Async::Ready(n))
    }

    /// Moves the bytes to the buffer of the thread.
    fn borrow(&mut self) {
        if !self.is_lent {
            // Only a new buffer is filled with zeros, so this costs nothing for most reads.
            let mut bytes = ARRIVALS.take();
            bytes.resize(CHUNK, 0);
            bytes[..self.len()].copy_from_slice(&self.bytes[self.start..self.end]);
            self.bytes = bytes;
            self.is_lent = true;
        } else if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
        }
        (self.start, self.end) = (0, self.len());
    }

    /// Moves the bytes to a buffer of its own. If there are none, frees that buffer.
    pub(super) fn give_back(&mut self) {
        if self.is_lent {
            // Between two frames there is nothing to copy, and an empty vector has no memory.
            let rest = self.bytes[self.start..self.end].to_vec();
            ARRIVALS.set(mem::replace(&mut self.bytes, rest));
            (self.start, self.end) = (0, self.len());
            self.is_lent = false;
        } else if self.is_empty() {
            *self = Input::default();
        }
    }

    /// Makes room after the bytes.
    fn grow(&mut self) {
        let size = self.size_to_read();
        // Moving the bytes to the front may make enough room without more memory.
        if self.start > 0 && self.bytes.len() - self.end < CHUNK {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.len());
        }
        if self.bytes.len() - self.end < CHUNK {
            self.bytes
                .reserve_exact(size.saturating_sub(self.bytes.len()));
            self.bytes.resize(self.end + CHUNK, 0);
        }
    }

    /// Returns whether [`next_frame`](Input::next_frame) would return a frame or an error.
    pub(super) fn has_frame(&self, max: usize) -> bool {
        !matches!(self.find_frame(max), Ok(None))
    }

    /// Frees the memory of a long frame that has been taken out.
    pub(super) fn trim(&mut self) {
        // Without this, a connection would keep the memory of its longest frame.
        if !self.is_lent && self.len() <= SHORT && self.bytes.capacity() > CHUNK {
            let rest = self.bytes[self.start..self.end].to_vec();
            (self.start, self.end) = (0, rest.len());
            self.bytes = rest;
        }
    }

    /// Returns the length of the next frame with its prefix, or 0 if it is not known.
    fn frame_end(&self) -> usize {
        let arrived = &self.bytes[self.start..self.end];
        let len = protocol::frame_len(arrived, usize::MAX).ok().flatten();
        len.map_or(0, |len| protocol::PREFIX_LEN + len)
    }

    /// Returns the next frame without taking it out, if all of it has arrived and it is not longer
    /// than `max`.
    pub(super) fn peek(&self, max: usize) -> Option<&[u8]> {
        // Taking it out reports a frame that is too long.
        let frame = self.find_frame(max).ok()??;
        Some(&self.bytes[frame])
    }

    /// Takes out the next frame, if all of it has arrived.
    ///
    /// # Errors
    ///
    /// [`ConnectionError::FrameTooLong`] if the frame is longer than `max`.
    pub(super) fn next_frame(&mut self, max: usize) -> Result<Option<&[u8]>, ConnectionError> {
        let Some(frame) = self.find_frame(max)? else {
            return Ok(None);
        };
        self.start = frame.end;
        Ok(Some(&self.bytes[frame]))
    }

    /// Returns the frames that have arrived, oldest first, without taking them out.
    pub(super) fn frames(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &self.bytes[self.start..self.end];
        iter::from_fn(move || {
            let len = protocol::frame_len(rest, usize::MAX).ok()??;
            let frame = rest.get(protocol::PREFIX_LEN..)?.get(..len)?;
            rest = &rest[protocol::PREFIX_LEN + len..];
            Some(frame)
        })
    }

    fn find_frame(&self, max: usize) -> Result<Option<Range<usize>>, ConnectionError> {
        let arrived = &self.bytes[self.start..self.end];
        let len = protocol::frame_len(arrived, max)?;
        let start = self.start + protocol::PREFIX_LEN;
        let frame = len.map(|len| start..start + len);
        Ok(frame.filter(|frame| frame.end <= self.end))
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        if self.is_lent {
            ARRIVALS.set(mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    /// Reads as many of `bytes` as one read takes.
    fn arrive(input: &mut Input, mut bytes: &[u8]) -> usize {
        match input.read_with(|buffer| bytes.read(buffer).map(Async::Ready)) {
            Ok(Async::Ready(n)) => n,
            other => unreachable!("{other:?}"),
        }
    }

    #[test]
    fn a_long_frame_takes_twice_what_has_arrived_and_a_chunk() {
        let mut input = Input::default();
        let frame = [&1_000_000_u32.to_be_bytes()[..], &[b'x'; 1_000_000]].concat();
        let mut arrived = 0;
        while arrived < frame.len() {
            assert!(!input.has_frame(usize::MAX));
            let size = input.size_to_read();
            arrived += arrive(&mut input, &frame[arrived..]);
            assert!(input.bytes.capacity() <= size, "more than was said");
            assert!(size <= 2 * arrived + CHUNK);
        }
        let len = input.next_frame(usize::MAX).unwrap().map(<[u8]>::len);
        assert_eq!(len, Some(1_000_000));
        assert!(input.is_empty());
    }

    #[test]
    fn the_memory_of_a_long_frame_is_freed_although_bytes_follow_it() {
        let mut input = Input::default();
        let frame = [&100_000_u32.to_be_bytes()[..], &[b'x'; 100_000], b"rest"].concat();
        let mut arrived = 0;
        while arrived < frame.len() {
            arrived += arrive(&mut input, &frame[arrived..]);
        }
        assert!(input.next_frame(usize::MAX).unwrap().is_some());
        input.trim();
        assert_eq!(&input.bytes[input.start..input.end], b"rest");
        assert!(input.bytes.capacity() <= CHUNK);
        assert!(input.size_to_read() <= CHUNK);
    }
}
