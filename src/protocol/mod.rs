//! The protocol: requests, replies, and the frames of JSON that carry them.
//!
//! A frame is a 4-byte big-endian length and that many bytes of JSON. `docs/protocol.md` defines
//! the protocol, byte by byte.
//!
//! The files, each of which builds only on those before it: `kind`, `message`, `json`, `frame`.

mod frame;
mod json;
pub(crate) mod kind;
mod message;

#[doc(hidden)]
pub use self::frame::{FrameCodec, Transport, transport, write_frame};
pub use self::frame::{MAX_FRAME_LEN, MAX_TOKEN_FRAME};
#[cfg(feature = "server")]
pub(crate) use self::frame::{PREFIX_LEN, frame_len, write_value_frame};
pub(crate) use self::frame::{encode, prefix};
#[cfg(feature = "server")]
pub(crate) use self::json::{key_of_get, pair_of_set};
#[doc(hidden)]
pub use self::json::{read_plain_reply, read_request};
pub use self::kind::{ErrorCode, Kind};
pub use self::message::{Request, Response};
pub use crate::scan::{MAX_PAGE_BYTES, MAX_PAGE_PAIRS, Page, Scan};
pub use crate::stats::{ClusterStats, EngineStats, Latency, Stats};
