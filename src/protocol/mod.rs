//! The protocol: requests, replies, and the frames of JSON that carry them.
//!
//! A frame is a 4-byte big-endian length and that many bytes of JSON. `docs/protocol.md` has the
//! whole of it, with the bytes.

mod frame;

pub use self::frame::{
    ErrorCode, FrameCodec, Kind, MAX_FRAME_LEN, MAX_TOKEN_FRAME, Request, Response, Stats,
    Transport, read_plain_reply, read_request, transport, write_frame,
};
pub(crate) use self::frame::{PREFIX_LEN, encode, frame_len, prefix};
