//! Fails: a_message_may_arrive_byte_by_byte: Leave a part of a message

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
        let header = buffer.split_to(3);
        let len = usize::from(u16::from_be_bytes([header[1], header[2]]));
        if len > MAX {
            return Err(ErrorKind::InvalidData.into());
        }
        if buffer.len() < len {
            return Ok(None);
        }
        Ok(Some(Message {
            kind: header[0],
            body: buffer.split_to(len).freeze(),
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
