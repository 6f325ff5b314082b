//! The protocol: requests, replies, and the frames of JSON that carry them.
//!
//! A frame is a 4-byte big-endian length and that many bytes of JSON. `docs/protocol.md` has the
//! whole of it, with the bytes.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use bytes::{BufMut, Bytes, BytesMut};
use serde::de::Error;
use serde::{Deserialize, Serialize, Serializer};
use tokio::codec::{Decoder, Encoder, Framed};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_serde_json::{ReadJson, WriteJson};

use crate::error::{ConnectionError, KvsError};
pub use crate::names::EngineStats;

/// The longest frame that either side takes or sends, in bytes, its length prefix not counted.
pub const MAX_FRAME_LEN: usize = 16 * 1024 * 1024;

/// The longest frame that a server takes before a client has shown its token.
pub const MAX_TOKEN_FRAME: usize = 4096;

/// Bytes of the length prefix.
pub(crate) const PREFIX_LEN: usize = size_of::<u32>();

/// What a client asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// The value of a key.
    Get {
        /// The key.
        key: String,
    },
    /// A new value for a key, whether or not it had one.
    Set {
        /// The key.
        key: String,
        /// The value.
        value: String,
    },
    /// No value for a key that has one.
    Remove {
        /// The key.
        key: String,
    },
    /// Leave to send requests, where the server wants a token for that.
    Auth {
        /// What the server knows as well.
        token: String,
    },
    /// How the server is doing.
    Stats {},
}

/// What the server answers, in the order of the requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Response {
    /// To [`Request::Get`]: the value, or `None` where the key is not there.
    Get(Option<String>),
    /// To [`Request::Set`]: it is done.
    Set,
    /// To [`Request::Remove`]: it is done.
    Remove,
    /// To [`Request::Auth`]: requests are welcome.
    Auth,
    /// To [`Request::Stats`].
    Stats(Box<Stats>),
    /// To any request that failed.
    Err {
        /// The reason, for programs.
        code: ErrorCode,
        /// A sentence, for people.
        message: String,
    },
}

/// The reason why the server refuses a request or a connection. `docs/protocol.md` explains what
/// each code means for the client.
///
/// In JSON it is a string, such as `"key_not_found"`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(from = "String")]
#[non_exhaustive]
pub enum ErrorCode {
    /// The key to remove does not exist.
    KeyNotFound,
    /// The frame holds no request. The connection stays open.
    BadRequest,
    /// The frame is too long. The server closes the connection after this reply.
    FrameTooLong,
    /// The key or the value is too long for the engine, or the reply for a frame.
    TooLarge,
    /// The record on the server's disk is damaged.
    Damaged,
    /// The server's disk is full. Reads succeed, and writes do when there is room again.
    StorageFull,
    /// The server's disk failed.
    Io,
    /// The server has as many connections as it may. It closes this one after this reply.
    TooManyConnections,
    /// The server has no memory to spare. It closes the connection after this reply.
    Overloaded,
    /// A frame took too long to arrive. The server closes the connection after this reply.
    TooSlow,
    /// The token is missing or wrong. The server closes the connection after this reply.
    Unauthorized,
    /// The engine failed for another reason.
    Engine,
    /// A code that this version of the crate does not know, as the server sent it.
    Other(String),
}

impl ErrorCode {
    /// Every code that this version knows.
    pub const KNOWN: [ErrorCode; 12] = [
        ErrorCode::KeyNotFound,
        ErrorCode::BadRequest,
        ErrorCode::FrameTooLong,
        ErrorCode::TooLarge,
        ErrorCode::Damaged,
        ErrorCode::StorageFull,
        ErrorCode::Io,
        ErrorCode::TooManyConnections,
        ErrorCode::Overloaded,
        ErrorCode::TooSlow,
        ErrorCode::Unauthorized,
        ErrorCode::Engine,
    ];

    /// Returns the code as it is in JSON, without the quotes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            ErrorCode::KeyNotFound => "key_not_found",
            ErrorCode::BadRequest => "bad_request",
            ErrorCode::FrameTooLong => "frame_too_long",
            ErrorCode::TooLarge => "too_large",
            ErrorCode::Damaged => "damaged",
            ErrorCode::StorageFull => "storage_full",
            ErrorCode::Io => "io",
            ErrorCode::TooManyConnections => "too_many_connections",
            ErrorCode::Overloaded => "overloaded",
            ErrorCode::TooSlow => "too_slow",
            ErrorCode::Unauthorized => "unauthorized",
            ErrorCode::Engine => "engine",
            ErrorCode::Other(code) => code,
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl From<String> for ErrorCode {
    fn from(code: String) -> ErrorCode {
        let mut known = ErrorCode::KNOWN.into_iter();
        known
            .find(|known| known.as_str() == code)
            .unwrap_or(ErrorCode::Other(code))
    }
}

impl FromStr for ErrorCode {
    type Err = Infallible;

    fn from_str(code: &str) -> Result<ErrorCode, Infallible> {
        Ok(code.to_owned().into())
    }
}

impl Serialize for ErrorCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// How a server is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Of the server.
    pub version: String,
    /// The time since it was started.
    pub uptime_seconds: u64,
    /// How many connections there are.
    pub connections: u64,
    /// How many there have been, those included.
    pub connections_accepted: u64,
    /// How often a wrong token was shown.
    pub wrong_tokens: u64,
    /// Bytes that connections hold.
    pub connection_bytes: u64,
    /// How many requests there were of each kind.
    pub requests: BTreeMap<String, u64>,
    /// How many errors there were of each code.
    pub errors: BTreeMap<String, u64>,
    /// The engine's own.
    pub engine: EngineStats,
}

impl fmt::Display for Stats {
    /// As lines for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let engine = &self.engine;
        let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "unknown".to_owned());
        let number = |number: Option<u64>| number.map_or("unknown".to_owned(), |n| n.to_string());
        writeln!(f, "version: {}", self.version)?;
        writeln!(f, "uptime: {} s", self.uptime_seconds)?;
        writeln!(
            f,
            "connections: {} now, {} in all, {} bytes, {} wrong tokens",
            self.connections, self.connections_accepted, self.connection_bytes, self.wrong_tokens
        )?;
        for (what, counts) in [("requests", &self.requests), ("errors", &self.errors)] {
            let counts: Vec<_> = counts
                .iter()
                .map(|(name, n)| format!("{name} {n}"))
                .collect();
            writeln!(f, "{what}: {}", counts.join(", "))?;
        }
        writeln!(
            f,
            "engine: {}, sync {}",
            text(&engine.engine),
            text(&engine.sync)
        )?;
        writeln!(f, "keys: {}", number(engine.keys))?;
        writeln!(
            f,
            "bytes: {} live, {} dead, in {} segments",
            number(engine.live_bytes),
            number(engine.dead_bytes),
            number(engine.segments)
        )?;
        match engine.seconds_since_compaction {
            Some(seconds) => write!(f, "last compaction: {seconds} s ago"),
            None => write!(f, "last compaction: none"),
        }
    }
}

/// What a request asks for, and so what its reply has to be, unless that is an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// [`Request::Get`] and [`Response::Get`].
    Get,
    /// [`Request::Set`] and [`Response::Set`].
    Set,
    /// [`Request::Remove`] and [`Response::Remove`].
    Remove,
    /// [`Request::Auth`] and [`Response::Auth`].
    Auth,
    /// [`Request::Stats`] and [`Response::Stats`].
    Stats,
}

impl Kind {
    /// All of them, in their order.
    pub const ALL: [Kind; 5] = [Kind::Get, Kind::Set, Kind::Remove, Kind::Auth, Kind::Stats];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl Request {
    /// The kind of reply that is due.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Request::Get { .. } => Kind::Get,
            Request::Set { .. } => Kind::Set,
            Request::Remove { .. } => Kind::Remove,
            Request::Auth { .. } => Kind::Auth,
            Request::Stats {} => Kind::Stats,
        }
    }
}

impl Response {
    /// The kind of request that this answers, or `None` for an error, which may answer any.
    #[must_use]
    pub fn kind(&self) -> Option<Kind> {
        match self {
            Response::Get(_) => Some(Kind::Get),
            Response::Set => Some(Kind::Set),
            Response::Remove => Some(Kind::Remove),
            Response::Auth => Some(Kind::Auth),
            Response::Stats(_) => Some(Kind::Stats),
            Response::Err { .. } => None,
        }
    }

    /// What a client's `get` comes to, where this is the reply to its request.
    ///
    /// # Errors
    ///
    /// [`KvsError::KeyNotFound`] or [`KvsError::Server`], as the reply says.
    pub fn into_value(self) -> crate::Result<Option<String>> {
        match self {
            Response::Get(value) => Ok(value),
            other => other.into_done().map(|()| None),
        }
    }

    /// What a client's `stats` comes to, where this is the reply to its request.
    ///
    /// # Errors
    ///
    /// [`KvsError::Server`], as the reply says.
    pub fn into_stats(self) -> crate::Result<Stats> {
        match self {
            Response::Stats(stats) => Ok(*stats),
            other => other.into_done().map(|()| Stats::default()),
        }
    }

    /// What a client's `set`, `remove` or `auth` comes to, where this is the reply to its request.
    ///
    /// # Errors
    ///
    /// [`KvsError::KeyNotFound`] or [`KvsError::Server`], as the reply says.
    pub fn into_done(self) -> crate::Result<()> {
        match self {
            Response::Err { code, message } => Err(match code {
                ErrorCode::KeyNotFound => KvsError::KeyNotFound,
                _ => KvsError::Server { code, message },
            }),
            _ => Ok(()),
        }
    }

    /// Makes a reply that reports an error.
    pub(crate) fn error(code: ErrorCode, message: impl fmt::Display) -> Response {
        Response::Err {
            code,
            message: message.to_string(),
        }
    }
}

impl From<KvsError> for Response {
    fn from(error: KvsError) -> Response {
        let code = match &error {
            KvsError::KeyNotFound => ErrorCode::KeyNotFound,
            KvsError::TooLarge { .. } => ErrorCode::TooLarge,
            KvsError::Damaged { .. } => ErrorCode::Damaged,
            KvsError::StorageFull { .. } => ErrorCode::StorageFull,
            KvsError::Io { .. } => ErrorCode::Io,
            _ => ErrorCode::Engine,
        };
        Response::error(code, error)
    }
}

/// Cuts a stream of bytes into frames, and back.
///
/// tokio's own `LengthDelimitedCodec` would do but for one thing: it reserves the length that a
/// prefix announces before the bytes are there, so that four bytes from a stranger cost us
/// [`MAX_FRAME_LEN`]. This one lets the buffer grow with what has really arrived.
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

/// The length of the frame that `bytes` begin with, its prefix not counted, where that much has
/// arrived. No more than `max` is allowed.
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

/// The request in a frame, its length prefix not among the bytes, as the server reads it.
///
/// # Errors
///
/// [`ConnectionError::BadFrame`] where the frame holds no request.
pub fn read_request(frame: &[u8]) -> Result<Request, ConnectionError> {
    // All at once, which is faster than string by string.
    let json = str::from_utf8(frame).map_err(serde_json::Error::custom)?;
    match Request::read_plain(json) {
        Some(request) => Ok(request),
        None => Ok(serde_json::from_str(json)?),
    }
}

/// The reply in a frame, its length prefix not among the bytes, where it takes no parser to read it.
/// Any other frame is `None`, whether or not there is a reply in it.
#[must_use]
pub fn read_plain_reply(frame: &[u8]) -> Option<Response> {
    Response::read_plain(str::from_utf8(frame).ok()?)
}

/// Appends `reply` to `out` as a frame with its length prefix, as the server sends it. Where it would
/// be longer than [`MAX_FRAME_LEN`], the frame is an error of [`ErrorCode::TooLarge`] instead.
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

/// Appends the JSON of `message` to `out`.
fn write_json<M: Plain>(message: &M, out: &mut Vec<u8>) {
    if !message.write_plain(out) {
        serde_json::to_writer(out, message).expect("strings are always JSON");
    }
}

/// A message that may be plain: as short as it can be in JSON, with nothing escaped. Most are, and half
/// of the time of a request would go into reading and writing them character by character.
trait Plain: Serialize + Sized {
    /// The message in this JSON, where that is plain.
    fn read_plain(json: &str) -> Option<Self>;

    /// Appends its JSON to `out` where that is plain, and says whether it is.
    fn write_plain(&self, out: &mut Vec<u8>) -> bool;
}

impl Plain for Request {
    fn read_plain(json: &str) -> Option<Request> {
        let request = json.strip_suffix(r#""}}"#)?;
        if let Some(key) = request.strip_prefix(r#"{"Get":{"key":""#) {
            let key = is_plain(key).then(|| key.to_owned())?;
            return Some(Request::Get { key });
        }
        let set = request.strip_prefix(r#"{"Set":{"key":""#)?;
        let (key, rest) = set.split_once('"')?;
        let value = rest.strip_prefix(r#","value":""#)?;
        let is_plain = is_plain(key) && is_plain(value);
        is_plain.then(|| Request::Set {
            key: key.to_owned(),
            value: value.to_owned(),
        })
    }

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
    fn read_plain(json: &str) -> Option<Response> {
        if json == r#""Set""# {
            return Some(Response::Set);
        }
        let value = json.strip_prefix(r#"{"Get":""#)?.strip_suffix(r#""}"#)?;
        is_plain(value).then(|| Response::Get(Some(value.to_owned())))
    }

    fn write_plain(&self, out: &mut Vec<u8>) -> bool {
        match self {
            Response::Get(Some(value)) if is_plain(value) => {
                append(out, [r#"{"Get":""#, value, r#""}"#]);
            }
            Response::Set => append(out, [r#""Set""#]),
            _ => return false,
        }
        true
    }
}

/// Appends `pieces` to `out`, which grows once.
fn append<const N: usize>(out: &mut Vec<u8>, pieces: [&str; N]) {
    out.reserve(pieces.iter().map(|piece| piece.len()).sum());
    for piece in pieces {
        out.extend_from_slice(piece.as_bytes());
    }
}

/// Whether a string is the same in JSON.
fn is_plain(value: &str) -> bool {
    let is_escaped = |byte: &u8| matches!(byte, ..b' ' | b'"' | b'\\');
    // To its end, since the compiler makes a few instructions of a loop that does not stop early.
    !value
        .as_bytes()
        .iter()
        .fold(false, |any, byte| any | is_escaped(byte))
}

/// A request as JSON, short enough for a frame.
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
pub(crate) fn prefix(frame: &[u8]) -> Result<Bytes, ConnectionError> {
    Ok(check_len(frame.len())?.to_be_bytes()[..].into())
}

/// A socket as a stream of `In` and a sink of `Out`, each a frame of JSON.
///
/// After [`ConnectionError::BadFrame`] the stream goes on with the next frame; every other error
/// is its end. A sink that refuses an item with [`ConnectionError::FrameTooLong`] has written
/// nothing of it and can go on as well.
pub type Transport<S, In, Out> = WriteJson<ReadJson<Framed<S, FrameCodec>, In>, Out>;

/// Lays the protocol over a socket: the client's side is `transport::<_, Response, Request>`, the
/// server's the other way round.
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

    /// Each character of interest alone, all together, none, and a long string.
    fn strings() -> impl Iterator<Item = String> {
        let all: String = (0..0x300).filter_map(char::from_u32).collect();
        let each: Vec<_> = all.chars().map(String::from).collect();
        let others = [all, String::new(), "plain".repeat(100)];
        each.into_iter().chain(others)
    }

    #[test]
    fn every_value_is_sent_as_json_that_means_it() {
        for value in strings() {
            let reply = Response::Get(Some(value));
            let mut out = Vec::new();
            write_frame(&reply, &mut out);
            assert_eq!(out[PREFIX_LEN..], serde_json::to_vec(&reply).unwrap());
            let len = u32::from_be_bytes(*out.first_chunk().unwrap());
            assert_eq!(len as usize, out.len() - PREFIX_LEN);
        }
    }

    #[test]
    fn every_key_and_value_is_asked_for_in_json_that_means_it() {
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
            }
        }
    }

    #[test]
    fn a_plain_reply_is_what_a_parser_makes_of_it() {
        let values = strings().map(|value| Response::Get(Some(value)));
        for reply in values.chain([Response::Get(None), Response::Set, Response::Remove]) {
            let json = serde_json::to_vec(&reply).unwrap();
            if let Some(plain) = read_plain_reply(&json) {
                assert_eq!(plain, reply);
            }
        }
        let is_plain = |json: &[u8]| read_plain_reply(json).is_some();
        assert!(is_plain(br#"{"Get":"value"}"#));
        assert!(is_plain(br#""Set""#));
        assert!(!is_plain(br#"{"Get":"}"#));
        assert!(!is_plain(b"{\"Get\":\"\xff\"}"));
    }

    #[test]
    fn requests_and_replies_are_the_documented_json() {
        let json = |response: &Response| serde_json::to_string(response).unwrap();
        assert_eq!(json(&Response::Get(Some("v".into()))), r#"{"Get":"v"}"#);
        assert_eq!(json(&Response::Get(None)), r#"{"Get":null}"#);
        assert_eq!(json(&Response::Set), r#""Set""#);
        assert_eq!(json(&Response::Remove), r#""Remove""#);
        assert_eq!(
            json(&KvsError::KeyNotFound.into()),
            r#"{"Err":{"code":"key_not_found","message":"Key not found"}}"#
        );

        let json = |request: &Request| serde_json::to_string(request).unwrap();
        let (key, value) = ("k".to_owned(), "v".to_owned());
        assert_eq!(
            json(&Request::Get { key: key.clone() }),
            r#"{"Get":{"key":"k"}}"#
        );
        assert_eq!(
            json(&Request::Remove { key: key.clone() }),
            r#"{"Remove":{"key":"k"}}"#
        );
        assert_eq!(
            json(&Request::Set { key, value }),
            r#"{"Set":{"key":"k","value":"v"}}"#
        );
    }
}
