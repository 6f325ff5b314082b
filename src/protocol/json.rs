//! The JSON of a message, most of which is read and written without a parser.

use serde::Serialize;
use serde::de::Error;

use super::message::{Request, Response};
use crate::error::ConnectionError;

/// Returns the request in a frame without its length prefix.
///
/// # Errors
///
/// [`ConnectionError::BadFrame`] if the frame holds no request.
pub fn read_request(frame: &[u8]) -> Result<Request, ConnectionError> {
    if let Some(key) = key_of_get(frame) {
        let key = key.to_owned();
        return Ok(Request::Get { key });
    }
    if let Some((key, value)) = pair_of_set(frame) {
        let (key, value) = (key.to_owned(), value.to_owned());
        return Ok(Request::Set { key, value });
    }
    // Checking all bytes at once is faster than checking each string.
    let json = str::from_utf8(frame).map_err(serde_json::Error::custom)?;
    Ok(serde_json::from_str(json)?)
}

/// Returns the key of a plain request for a value. `None` says nothing about the frame.
pub(crate) fn key_of_get(frame: &[u8]) -> Option<&str> {
    let key = frame.strip_prefix(br#"{"Get":{"key":""#)?;
    let key = str::from_utf8(key.strip_suffix(br#""}}"#)?).ok()?;
    is_plain(key).then_some(key)
}

/// Returns the key and the value of a plain request to set one. `None` says nothing about the
/// frame.
pub(crate) fn pair_of_set(frame: &[u8]) -> Option<(&str, &str)> {
    let pair = frame.strip_prefix(br#"{"Set":{"key":""#)?;
    let pair = str::from_utf8(pair.strip_suffix(br#""}}"#)?).ok()?;
    let (key, rest) = pair.split_once('"')?;
    let value = rest.strip_prefix(r#","value":""#)?;
    (is_plain(key) && is_plain(value)).then_some((key, value))
}

/// Appends the JSON of the reply to a `Get`, if the value is plain. Returns whether it is.
pub(super) fn write_plain_value(value: &str, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    let (before, after) = (r#"{"Get":""#, r#""}"#);
    append(out, [before, value, after]);
    // A long value may not be in the processor's cache. Copying it waits less for memory than
    // checking it, and then the cache has the copy.
    let is_plain = is_plain_bytes(&out[start + before.len()..out.len() - after.len()]);
    if !is_plain {
        out.truncate(start);
    }
    is_plain
}

/// Returns the reply in a frame without its length prefix, if it can be read fast: without a
/// parser, or as the page of a scan. `None` says nothing about whether the frame holds a reply.
#[must_use]
pub fn read_plain_reply(frame: &[u8]) -> Option<Response> {
    let json = str::from_utf8(frame).ok()?;
    if json.starts_with(r#"{"Scan":"#) {
        // A parser finds the end of a string sooner in a slice than in a stream of bytes.
        return serde_json::from_str(json).ok();
    }
    if json == r#""Set""# {
        return Some(Response::Set);
    }
    let value = json.strip_prefix(r#"{"Get":""#)?.strip_suffix(r#""}"#)?;
    is_plain(value).then(|| Response::Get(Some(value.to_owned())))
}

/// Appends the JSON of `message` to `out`.
pub(super) fn write_json<M: Plain>(message: &M, out: &mut Vec<u8>) {
    if !message.write_plain(out) {
        serde_json::to_writer(out, message).expect("strings are always JSON");
    }
}

/// A message that may be plain JSON: no spaces, and no character escaped. Most messages are plain.
/// A parser would read them character by character, which would be half of the time of a request.
pub(super) trait Plain: Serialize {
    /// If the message is plain, appends its JSON to `out` and returns `true`.
    fn write_plain(&self, out: &mut Vec<u8>) -> bool;
}

impl Plain for Request {
    fn write_plain(&self, out: &mut Vec<u8>) -> bool {
        match self {
            Request::Get { key } if is_plain(key) => {
                append(out, [r#"{"Get":{"key":""#, key, r#""}}"#]);
            }
            Request::Set { key, value } if is_plain(key) && is_plain(value) => {
                let between = r#"","value":""#;
                append(out, [r#"{"Set":{"key":""#, key, between, value, r#""}}"#]);
            }
            _ => return false,
        }
        true
    }
}

impl Plain for Response {
    fn write_plain(&self, out: &mut Vec<u8>) -> bool {
        match self {
            Response::Get(Some(value)) => return write_plain_value(value, out),
            Response::Set => append(out, [r#""Set""#]),
            _ => return false,
        }
        true
    }
}

/// Appends `pieces` to `out`, which grows at most once.
fn append<const N: usize>(out: &mut Vec<u8>, pieces: [&str; N]) {
    out.reserve(pieces.iter().map(|piece| piece.len()).sum());
    for piece in pieces {
        out.extend_from_slice(piece.as_bytes());
    }
}

/// Returns whether a string is the same in JSON.
fn is_plain(value: &str) -> bool {
    is_plain_bytes(value.as_bytes())
}

fn is_plain_bytes(value: &[u8]) -> bool {
    let is_escaped = |byte: &u8| matches!(byte, ..b' ' | b'"' | b'\\');
    // The loop never stops early, so the compiler can check many bytes with one instruction.
    !value.iter().fold(false, |any, byte| any | is_escaped(byte))
}

#[cfg(test)]
mod tests {
    use super::super::frame::{PREFIX_LEN, encode, write_frame, write_value_frame};
    use super::*;
    use crate::scan::Page;

    /// Returns each interesting character alone, all together, none, and a long string.
    fn strings() -> impl Iterator<Item = String> {
        let all: String = (0..0x300).filter_map(char::from_u32).collect();
        let each: Vec<_> = all.chars().map(String::from).collect();
        let others = [all, String::new(), "plain".repeat(100)];
        each.into_iter().chain(others)
    }

    #[test]
    fn every_value_is_sent_as_the_json_of_a_serializer() {
        for value in strings() {
            let (mut out, mut short) = (Vec::new(), Vec::new());
            let is_plain = write_value_frame(&value, &mut short);
            let reply = Response::Get(Some(value));
            write_frame(&reply, &mut out);
            assert_eq!(short, if is_plain { &out[..] } else { &[] });
            assert_eq!(out[PREFIX_LEN..], serde_json::to_vec(&reply).unwrap());
            let len = u32::from_be_bytes(*out.first_chunk().unwrap());
            assert_eq!(len as usize, out.len() - PREFIX_LEN);
        }
    }

    #[test]
    fn every_key_and_value_is_sent_as_the_json_of_a_serializer() {
        for string in strings() {
            let [key, value] = [(); 2].map(|()| string.clone());
            let plain = || "plain".to_owned();
            let requests = [
                Request::Get { key: key.clone() },
                Request::Set {
                    key,
                    value: plain(),
                },
                Request::Set {
                    key: plain(),
                    value,
                },
            ];
            for request in requests {
                let body = encode(&request).unwrap();
                assert_eq!(body, serde_json::to_vec(&request).unwrap());
                assert_eq!(read_request(&body).unwrap(), request);
                // A plain request needs no parser.
                let needs_none = key_of_get(&body).is_some() || pair_of_set(&body).is_some();
                assert_eq!(needs_none, !body.contains(&b'\\'));
            }
        }
    }

    #[test]
    fn a_plain_reply_reads_as_with_a_parser() {
        let values = strings().map(|value| Response::Get(Some(value)));
        let pages = strings().map(|key| {
            Response::Scan(Box::new(Page {
                pairs: vec![(key, None)],
                cursor: None,
            }))
        });
        let others = [Response::Get(None), Response::Set, Response::Remove];
        for reply in values.chain(pages).chain(others) {
            let json = serde_json::to_vec(&reply).unwrap();
            if let Some(plain) = read_plain_reply(&json) {
                assert_eq!(plain, reply);
            }
        }
        let is_plain = |json: &[u8]| read_plain_reply(json).is_some();
        assert!(is_plain(br#"{"Get":"value"}"#));
        assert!(is_plain(br#""Set""#));
        assert!(is_plain(br#"{"Scan":{"pairs":[],"cursor":null}}"#));
        assert!(!is_plain(br#"{"Scan":{}}"#));
        assert!(!is_plain(br#"{"Get":"}"#));
        assert!(!is_plain(b"{\"Get\":\"\xff\"}"));
    }
}
