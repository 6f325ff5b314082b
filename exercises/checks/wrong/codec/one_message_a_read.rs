//! Fails: several_messages_may_arrive_in_one_read: three messages in one read

use std::io::{self, ErrorKind};

use bytes::{BufMut, Bytes, BytesMut};
use tokio::codec::{Decoder, Encoder};

fn main() {}

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

    fn decode(&mut self, buffer: &mut BytesMut) -> io::Result<Option<Message>> {
        if buffer.len() < 3 {
            return Ok(None);
        }
        let len = usize::from(u16::from_be_bytes([buffer[1], buffer[2]]));
        if len > MAX {
            return Err(ErrorKind::InvalidData.into());
        }
        if buffer.len() < 3 + len {
            return Ok(None);
        }
        let read = buffer.take();
        Ok(Some(Message {
            kind: read[0],
            body: read.freeze().slice(3, 3 + len),
        }))
    }
}

impl Encoder for Messages {
    type Item = Message;
    type Error = io::Error;

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
