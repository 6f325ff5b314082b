//! Any bytes as frames, and any frame as a request and as a reply.

use std::fmt::Debug;

use bytes::BytesMut;
use kvs::ConnectionError;
use kvs::protocol::{self, FrameCodec, Request, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::codec::{Decoder, Encoder};

/// Decodes any bytes. The first byte of the input is the number of the bytes after it that are
/// lengths. The rest is the stream, and arrives in pieces of these lengths, over and over.
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
    /// The text of the error that ended the stream, if one did.
    error: Option<String>,
}

/// Decodes `stream`, which arrives in pieces of `lens`.
fn decode(lens: &[usize], mut stream: &[u8]) -> Decoded {
    let mut frames = Vec::new();
    let mut buffer = BytesMut::new();
    let mut lens = lens.iter().cycle();
    loop {
        let capacity = buffer.capacity();
        let is_over = stream.is_empty();
        let next = if is_over {
            FrameCodec.decode_eof(&mut buffer)
        } else {
            FrameCodec.decode(&mut buffer)
        };
        assert!(
            buffer.capacity() <= capacity,
            "the decoder has reserved memory"
        );
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

/// Checks that the server reads a request as serde does, and a scan also without the fields that
/// may be left out.
fn request(frame: &[u8]) {
    let read = protocol::read_request(frame).ok();
    assert_eq!(read, serde_json::from_slice(frame).ok());
    if let Some(Request::Scan(scan)) = read {
        let mut fields = json!({ "limit": scan.limit });
        if scan.cursor.is_some() {
            fields["cursor"] = json!(scan.cursor);
        }
        if !scan.prefix.is_empty() {
            fields["prefix"] = json!(scan.prefix);
        }
        if scan.keys_only {
            fields["keys_only"] = json!(true);
        }
        let short = json!({ "Scan": fields }).to_string();
        let read = protocol::read_request(short.as_bytes()).unwrap();
        assert_eq!(read, Request::Scan(scan));
    }
}

/// Checks that a client never reads a plain reply that serde would not read, and that a server
/// writes the same bytes as serde.
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

/// Checks that a message is the same when it is written and read again, and that an error is short.
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
