// `decode` looks at the header, and takes nothing out of the buffer until the whole message is
// there. Between two calls, the buffer is the only memory: bytes that we take too early are gone.
//
// The length is checked before the body arrives. Otherwise we would wait for a body that we refuse.

use std::io::{self, ErrorKind};

use bytes::{BufMut, Bytes, BytesMut};
use tokio::codec::{Decoder, Encoder};

fn main() {}

/// The length of the longest body.
const MAX: usize = 1000;

#[derive(Debug, PartialEq)]
struct Message {
    kind: u8,
    body: Bytes,
}

struct Messages;

impl Decoder for Messages {
    type Item = Message;
    type Error = io::Error;

    /// Takes the next message out of the buffer. If it has not arrived as a whole, returns
    /// `Ok(None)`.
    ///
    /// Fails with `ErrorKind::InvalidData` as soon as it can know that a body is too long.
    fn decode(&mut self, buffer: &mut BytesMut) -> io::Result<Option<Message>> {
        let Some(&[kind, high, low]) = buffer.first_chunk() else {
            return Ok(None);
        };
        let len = usize::from(u16::from_be_bytes([high, low]));
        if len > MAX {
            return Err(ErrorKind::InvalidData.into());
        }
        if buffer.len() < 3 + len {
            return Ok(None);
        }
        buffer.advance(3);
        let body = buffer.split_to(len).freeze();
        Ok(Some(Message { kind, body }))
    }
}

impl Encoder for Messages {
    type Item = Message;
    type Error = io::Error;

    /// Appends a message to the buffer. Fails with `ErrorKind::InvalidInput` if the body is too
    /// long, and appends nothing then.
    fn encode(&mut self, message: Message, buffer: &mut BytesMut) -> io::Result<()> {
        let len = message.body.len();
        if len > MAX {
            return Err(ErrorKind::InvalidInput.into());
        }
        buffer.reserve(3 + len);
        buffer.put_u8(message.kind);
        buffer.put_u16_be(len as u16);
        buffer.put_slice(&message.body);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use support::within_time;

    /// Three messages, one of them without a body.
    const BYTES: &[u8] = b"\x01\0\x03abc\x02\0\0\x03\0\x02de";

    fn messages() -> Vec<Message> {
        [(1, "abc"), (2, ""), (3, "de")]
            .map(|(kind, body)| Message {
                kind,
                body: body.into(),
            })
            .into()
    }

    /// Takes all messages that the buffer has, as `Framed` does after each read.
    fn take_all(buffer: &mut BytesMut) -> Vec<Message> {
        let mut taken = Vec::new();
        loop {
            match Messages.decode(buffer) {
                Ok(Some(message)) => taken.push(message),
                Ok(None) => return taken,
                Err(error) => panic!(
                    "`decode` fails, and all bytes are right: {error}. Leave a part of a message \
                     in the buffer, and its header as well"
                ),
            }
        }
    }

    #[test]
    fn several_messages_may_arrive_in_one_read() {
        within_time(|| {
            let mut buffer = BytesMut::from(BYTES);
            let taken = take_all(&mut buffer);
            assert_eq!(taken, messages(), "three messages in one read");
            assert!(buffer.is_empty(), "this is left of them: {buffer:?}");
        });
    }

    #[test]
    fn a_message_may_arrive_byte_by_byte() {
        within_time(|| {
            let (mut buffer, mut taken) = (BytesMut::new(), Vec::new());
            for byte in BYTES {
                buffer.extend_from_slice(&[*byte]);
                taken.extend(take_all(&mut buffer));
            }
            assert_eq!(taken, messages(), "the bytes arrived one at a time");
        });
    }

    #[test]
    fn a_read_may_end_anywhere() {
        within_time(|| {
            for end in 0..BYTES.len() {
                let mut buffer = BytesMut::from(&BYTES[..end]);
                let mut taken = take_all(&mut buffer);
                buffer.extend_from_slice(&BYTES[end..]);
                taken.extend(take_all(&mut buffer));
                assert_eq!(taken, messages(), "the first read had {end} bytes");
            }
        });
    }

    #[test]
    fn a_body_that_is_too_long_is_an_error() {
        within_time(|| {
            let mut longest = BytesMut::from(&b"\x01\x03\xe8"[..]);
            longest.extend_from_slice(&[b'x'; 1000]);
            let taken = take_all(&mut longest);
            assert_eq!(taken[0].body.len(), 1000, "the longest body");

            // Its body has not arrived, and need not.
            let mut too_long = BytesMut::from(&b"\x01\x03\xe9"[..]);
            let error = Messages.decode(&mut too_long).expect_err(
                "the header says that 1,001 bytes follow: do not wait for them, it is an error",
            );
            assert_eq!(error.kind(), ErrorKind::InvalidData);
        });
    }

    #[test]
    fn messages_are_encoded() {
        within_time(|| {
            let mut buffer = BytesMut::new();
            for message in messages() {
                Messages.encode(message, &mut buffer).unwrap();
            }
            assert_eq!(&buffer[..], BYTES, "the bytes of three messages");

            let too_long = Message {
                kind: 1,
                body: vec![0; 1001].into(),
            };
            let error = Messages
                .encode(too_long, &mut buffer)
                .expect_err("a body of 1,001 bytes is too long");
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert_eq!(&buffer[..], BYTES, "a refused message leaves no bytes");

            let longest = Message {
                kind: 1,
                body: vec![0; 1000].into(),
            };
            Messages.encode(longest, &mut buffer).unwrap();
            assert_eq!(buffer.len(), BYTES.len() + 1003, "the longest message");
        });
    }
}
