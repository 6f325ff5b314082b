//! What has arrived from a peer and was not worked on yet.

use std::cell::Cell;
use std::io;
use std::mem;
use std::ops::Range;

use futures::{Async, Poll, try_ready};

use crate::error::ConnectionError;
use crate::protocol;

/// The room that is made for what may arrive next, at least.
const CHUNK: usize = 16 * 1024;

/// Bytes of a frame's beginning that are copied rather than kept where they are.
const SHORT: usize = CHUNK / 2;

thread_local! {
    /// Where things arrive at first, for whichever connection has its turn. Most frames are short
    /// and arrive whole, and those that wait for one need no memory of their own.
    static ARRIVALS: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Bytes that come in at the end and go out at the beginning as frames. Between the turns of its
/// connection it takes no more than twice what has arrived, and a [`CHUNK`], and nothing where that
/// is nothing.
#[derive(Debug, Default)]
pub(super) struct Input {
    /// Those from `start` to `end` have arrived.
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    /// Whether `bytes` are those of the thread.
    is_lent: bool,
}

impl Input {
    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    fn len(&self) -> usize {
        self.end - self.start
    }

    /// The memory that it takes to read on.
    pub(super) fn size_to_read(&self) -> usize {
        let len = self.len();
        if len <= SHORT {
            CHUNK
        } else if !self.is_lent && len + CHUNK <= self.bytes.capacity() {
            self.bytes.capacity()
        } else {
            // Twice as much, so that moving what is there costs no more than its arrival did, but
            // nothing that the frame has no need of.
            (2 * len).min(self.frame_end()).max(len + CHUNK)
        }
    }

    /// Reads once with `read`. Ready with 0 at the end.
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

    /// Goes on in the bytes of the thread.
    fn borrow(&mut self) {
        if !self.is_lent {
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

    /// Goes on in bytes of its own, and in none where there is nothing.
    pub(super) fn give_back(&mut self) {
        if self.is_lent {
            let rest = self.bytes[self.start..self.end].to_vec();
            ARRIVALS.set(mem::replace(&mut self.bytes, rest));
            (self.start, self.end) = (0, self.len());
            self.is_lent = false;
        } else if self.is_empty() {
            *self = Input::default();
        }
    }

    /// Makes room behind what is there.
    fn grow(&mut self) {
        let size = self.size_to_read();
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

    /// Whether [`next_frame`](Input::next_frame) has something to say before more has arrived.
    pub(super) fn has_frame(&self, max: usize) -> bool {
        !matches!(self.find_frame(max), Ok(None))
    }

    /// Gives up what a long frame took, when that has been taken out.
    pub(super) fn trim(&mut self) {
        if !self.is_lent && self.len() <= SHORT && self.bytes.capacity() > CHUNK {
            let rest = self.bytes[self.start..self.end].to_vec();
            (self.start, self.end) = (0, rest.len());
            self.bytes = rest;
        }
    }

    /// How many bytes there will be with the last one of the next frame, where that is known.
    fn frame_end(&self) -> usize {
        let arrived = &self.bytes[self.start..self.end];
        let len = protocol::frame_len(arrived, usize::MAX).ok().flatten();
        len.map_or(0, |len| protocol::PREFIX_LEN + len)
    }

    /// Takes the next frame out, where all of it is there.
    pub(super) fn next_frame(&mut self, max: usize) -> Result<Option<&[u8]>, ConnectionError> {
        let Some(frame) = self.find_frame(max)? else {
            return Ok(None);
        };
        self.start = frame.end;
        Ok(Some(&self.bytes[frame]))
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

    /// Has all of `bytes` arrive, as far as one read takes them.
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
    fn what_a_long_frame_took_is_given_up_although_something_has_come_behind_it() {
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
