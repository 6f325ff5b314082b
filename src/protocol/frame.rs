//! The frames: a length prefix, and the JSON of one message.

use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use tokio::codec::{Decoder, Encoder, Framed};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_serde_json::{ReadJson, WriteJson};

use super::json::write_json;
use super::message::{Request, Response};
use crate::error::{ConnectionError, KvsError};

/// The length in bytes of the longest frame, without its length prefix.
pub const MAX_FRAME_LEN: usize = 16 * 1024 * 1024;

/// The length in bytes of the longest frame that a server accepts before a client has shown its
/// token.
pub const MAX_TOKEN_FRAME: usize = 4096;

/// The length in bytes of the length prefix.
pub(crate) const PREFIX_LEN: usize = size_of::<u32>();

/// A codec that decodes frames from a stream of bytes, and encodes them.
///
/// tokio's `LengthDelimitedCodec` has the same format. But as soon as it has read a length prefix,
/// it reserves that many bytes, so that four bytes from a stranger would cost us [`MAX_FRAME_LEN`].
/// With this codec, the buffer grows only with the bytes that have arrived.
#[derive(Debug, Default)]
pub struct FrameCodec;

impl Decoder for FrameCodec {
    type Item = BytesMut;
    type Error = ConnectionError;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<BytesMut>, ConnectionError> {
        let Some(len) = frame_len(src, MAX_FRAME_LEN)? else {
            return Ok(None);
        };
        if src.len() < PREFIX_LEN + len {
            return Ok(None);
        }
        src.advance(PREFIX_LEN);
        Ok(Some(src.split_to(len)))
    }

    fn decode_eof(&mut self, src: &mut BytesMut) -> Result<Option<BytesMut>, ConnectionError> {
        match self.decode(src)? {
            None if !src.is_empty() => Err(ConnectionError::Truncated),
            frame => Ok(frame),
        }
    }
}

impl Encoder for FrameCodec {
    type Item = Bytes;
    type Error = ConnectionError;

    fn encode(&mut self, frame: Bytes, dst: &mut BytesMut) -> Result<(), ConnectionError> {
        let prefix = check_len(frame.len())?;
        dst.reserve(PREFIX_LEN + frame.len());
        dst.put_u32_be(prefix);
        dst.put_slice(&frame);
        Ok(())
    }
}

fn check_len(len: usize) -> Result<u32, ConnectionError> {
    let max = MAX_FRAME_LEN;
    match u32::try_from(len) {
        Ok(prefix) if len <= max => Ok(prefix),
        _ => Err(ConnectionError::FrameTooLong { len, max }),
    }
}

/// Returns the length of the frame at the beginning of `bytes`, without its prefix. If the prefix
/// has not arrived, returns `None`.
///
/// # Errors
///
/// [`ConnectionError::FrameTooLong`] if the frame is longer than `max`.
pub(crate) fn frame_len(bytes: &[u8], max: usize) -> Result<Option<usize>, ConnectionError> {
    let max = max.min(MAX_FRAME_LEN);
    let len = bytes
        .first_chunk()
        .map(|len| u32::from_be_bytes(*len) as usize);
    match len {
        Some(len) if len > max => Err(ConnectionError::FrameTooLong { len, max }),
        _ => Ok(len),
    }
}

/// Appends `reply` to `out` as a frame with its length prefix. If the frame would be longer than
/// [`MAX_FRAME_LEN`], appends an error with [`ErrorCode::TooLarge`](super::ErrorCode::TooLarge)
/// instead.
pub fn write_frame(reply: &Response, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; PREFIX_LEN]);
    write_json(reply, out);
    match check_len(out.len() - start - PREFIX_LEN) {
        Ok(prefix) => out[start..start + PREFIX_LEN].copy_from_slice(&prefix.to_be_bytes()),
        Err(_) => {
            let len = out.len() - start - PREFIX_LEN;
            out.truncate(start);
            out.shrink_to_fit();
            let error = KvsError::TooLarge {
                what: "reply",
                len,
                max: MAX_FRAME_LEN,
            };
            write_frame(&error.into(), out);
        }
    }
}

/// Appends the reply to a `Get` as a frame, if the value is plain and not too long. Returns whether
/// it is.
#[cfg(any(feature = "server", test))]
pub(crate) fn write_value_frame(value: &str, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    out.extend_from_slice(&[0; PREFIX_LEN]);
    let is_plain = super::json::write_plain_value(value, out);
    match check_len(out.len() - start - PREFIX_LEN) {
        Ok(prefix) if is_plain => {
            out[start..start + PREFIX_LEN].copy_from_slice(&prefix.to_be_bytes());
            true
        }
        _ => {
            out.truncate(start);
            false
        }
    }
}

/// Encodes a request as JSON.
///
/// # Errors
///
/// [`KvsError::TooLarge`] if the JSON is too long for a frame.
pub(crate) fn encode(request: &Request) -> crate::Result<Bytes> {
    let mut body = Vec::new();
    write_json(request, &mut body);
    match check_len(body.len()) {
        Ok(_) => Ok(body.into()),
        Err(_) => Err(KvsError::TooLarge {
            what: "request",
            len: body.len(),
            max: MAX_FRAME_LEN,
        }),
    }
}

/// Returns the length prefix of a frame.
///
/// # Errors
///
/// [`ConnectionError::FrameTooLong`] if the frame is longer than [`MAX_FRAME_LEN`].
pub(crate) fn prefix(frame: &[u8]) -> Result<Bytes, ConnectionError> {
    Ok(check_len(frame.len())?.to_be_bytes()[..].into())
}

/// A socket as a stream of `In` and a sink of `Out`, each a frame of JSON.
///
/// After [`ConnectionError::BadFrame`] the stream continues with the next frame. Every other error
/// ends it. If the sink refuses an item with [`ConnectionError::FrameTooLong`], it has written
/// nothing of it, and takes further items.
pub type Transport<S, In, Out> = WriteJson<ReadJson<Framed<S, FrameCodec>, In>, Out>;

/// Makes a [`Transport`] of a socket. A client calls `transport::<_, Response, Request>`, and a
/// server `transport::<_, Request, Response>`.
pub fn transport<S, In, Out>(socket: S) -> Transport<S, In, Out>
where
    S: AsyncRead + AsyncWrite,
    In: for<'a> Deserialize<'a>,
    Out: Serialize,
{
    WriteJson::new(ReadJson::new(FrameCodec.framed(socket)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(body: &[u8]) -> BytesMut {
        let mut buffer = BytesMut::new();
        FrameCodec.encode(body.into(), &mut buffer).unwrap();
        buffer
    }

    #[test]
    fn a_frame_is_a_big_endian_length_and_its_bytes() {
        assert_eq!(&frame(b"abc")[..], b"\0\0\0\x03abc");
    }

    #[test]
    fn a_frame_is_whole_only_with_its_last_byte() {
        let whole = frame(b"{\"Get\":null}");
        for cut in 0..whole.len() {
            let mut part = BytesMut::from(&whole[..cut]);
            assert!(FrameCodec.decode(&mut part).unwrap().is_none());
            let at_eof = FrameCodec.decode_eof(&mut part);
            match cut {
                0 => assert!(at_eof.unwrap().is_none()),
                _ => assert!(matches!(at_eof, Err(ConnectionError::Truncated))),
            }
        }
    }

    #[test]
    fn frames_that_arrive_together_come_out_one_by_one() {
        let mut buffer = frame(b"1");
        buffer.unsplit(frame(b""));
        buffer.unsplit(frame(b"22"));
        let mut next = || FrameCodec.decode(&mut buffer).unwrap();
        assert_eq!(next().unwrap(), &b"1"[..]);
        assert_eq!(next().unwrap(), &b""[..]);
        assert_eq!(next().unwrap(), &b"22"[..]);
        assert_eq!(next(), None);
    }

    #[test]
    fn a_length_prefix_reserves_nothing() {
        let mut buffer = BytesMut::from(&(MAX_FRAME_LEN as u32).to_be_bytes()[..]);
        let before = buffer.capacity();
        assert!(FrameCodec.decode(&mut buffer).unwrap().is_none());
        assert_eq!(buffer.capacity(), before);
    }

    #[test]
    fn a_frame_over_the_limit_is_refused_both_ways() {
        let mut buffer = BytesMut::from(&(MAX_FRAME_LEN as u32 + 1).to_be_bytes()[..]);
        let read = FrameCodec.decode(&mut buffer);
        assert!(matches!(read, Err(ConnectionError::FrameTooLong { .. })));

        let mut buffer = BytesMut::new();
        let write = FrameCodec.encode(vec![b' '; MAX_FRAME_LEN + 1].into(), &mut buffer);
        assert!(matches!(write, Err(ConnectionError::FrameTooLong { .. })));
        assert!(buffer.is_empty());
    }
}
