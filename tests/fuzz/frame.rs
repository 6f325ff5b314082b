//! Any bytes as frames, and any frame as a request and a reply.

use std::fmt::Debug;

use bytes::BytesMut;
use kvs::ConnectionError;
use kvs::protocol::{self, FrameCodec, Request, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::codec::{Decoder, Encoder};

/// The first byte of the input is a number of bytes: each of these is the length of a piece in
/// which the rest arrives, over and over.
pub fn frame(input: &[u8]) {
    let Some((n, rest)) = input.split_first() else {
        return;
    };
    let (pieces, stream) = rest.split_at(rest.len().min(usize::from(*n)));
    let whole = decode(&[usize::MAX], stream);
    let lens: Vec<_> = pieces.iter().map(|len| usize::from(*len).max(1)).collect();
    assert_eq!(decode(&lens, stream), whole);
    assert_eq!(decode(&[1], stream), whole);

    let mut encoded = BytesMut::new();
    for frame in &whole.frames {
        FrameCodec
            .encode(frame.as_slice().into(), &mut encoded)
            .unwrap();
        request(frame);
        reply(frame);
        read::<Request>(frame);
        read::<Response>(frame);
    }
    assert!(stream.starts_with(&encoded));
    request(stream);
    reply(stream);
    read::<Request>(stream);
    read::<Response>(stream);
}

#[derive(Debug, PartialEq)]
struct Decoded {
    frames: Vec<Vec<u8>>,
    /// What ended the stream, in words.
    error: Option<String>,
}

/// Takes the frames out of `stream` as it arrives in pieces of `lens`.
fn decode(lens: &[usize], mut stream: &[u8]) -> Decoded {
    let mut frames = Vec::new();
    let mut buffer = BytesMut::new();
    let mut lens = lens.iter().cycle();
    loop {
        let capacity = buffer.capacity();
        let is_over = stream.is_empty();
        let next = match is_over {
            false => FrameCodec.decode(&mut buffer),
            true => FrameCodec.decode_eof(&mut buffer),
        };
        assert!(buffer.capacity() <= capacity, "it has reserved memory");
        match next {
            Ok(Some(frame)) => frames.push(frame.to_vec()),
            Ok(None) if is_over => {
                let error = None;
                return Decoded { frames, error };
            }
            Ok(None) => {
                let len = lens.next().map_or(stream.len(), |len| *len);
                let (piece, rest) = stream.split_at(len.min(stream.len()));
                buffer.extend_from_slice(piece);
                stream = rest;
            }
            Err(error) => {
                let error = Some(error.to_string());
                return Decoded { frames, error };
            }
        }
    }
}

/// The server reads a request as any reader of JSON does, only faster.
fn request(frame: &[u8]) {
    let read = protocol::read_request(frame).ok();
    assert_eq!(read, serde_json::from_slice(frame).ok());
}

/// A client reads no plain reply where a reader of JSON would find another, or none, and a server writes
/// what any writer of JSON does.
fn reply(frame: &[u8]) {
    let read = serde_json::from_slice::<Response>(frame).ok();
    if let Some(plain) = protocol::read_plain_reply(frame) {
        assert_eq!(Some(plain), read);
    }
    if let Some(reply) = read {
        let mut written = Vec::new();
        protocol::write_frame(&reply, &mut written);
        assert_eq!(
            written[size_of::<u32>()..],
            serde_json::to_vec(&reply).unwrap()
        );
    }
}

/// What a frame says is the same when it is said again, and what is wrong with it is said briefly.
fn read<T: Serialize + DeserializeOwned + PartialEq + Debug>(frame: &[u8]) {
    match serde_json::from_slice::<T>(frame) {
        Ok(message) => {
            let again = serde_json::to_vec(&message).unwrap();
            assert_eq!(serde_json::from_slice::<T>(&again).unwrap(), message);
        }
        Err(error) => {
            let error = ConnectionError::from(error).to_string();
            assert!(error.chars().count() < 300, "{error}");
        }
    }
}
