//! How far a connection is on its way to the end.

/// The stage of a connection. A connection reads requests in the first stage only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Serving,
    /// The server ends the connection after the replies to all requests in flight.
    Ending,
    /// The peer has closed its half. It still receives the replies to all requests in flight.
    PeerEnded,
    /// The last reply is sent. The connection discards all bytes that arrive until the peer closes
    /// its half, too. If it closed the socket before it has read them, the system would discard the
    /// replies that the peer has not read.
    Lingering,
    /// The socket has failed. The requests in flight use memory until the engine is done with them.
    Broken,
}
