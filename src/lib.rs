//! A persistent key/value store with asynchronous networking, and a place to learn Rust futures.
//!
//! # The map
//!
//! Dependencies point downwards only: nothing in an engine knows the network, nothing in a client
//! knows an engine. The client is there six times, in the files of `variants/`, each behind a feature:
//! with futures 0.1 as `client::boxed`, `client::explicit`, `client::anon` and `client::manual`, with
//! those of the standard library as `client::pinned` and `client::awaited`. What they share is in
//! [`client`]. The course in `docs/` explains each of them, beginning with `docs/introduction.md`.
//!
//! ```text
//!   bin/kvs-server        bin/kvs-client          the two programs; cli has what they share
//!         |                     |
//!       server                client              connections, seen from either end
//!         |    \                |
//!         |     `---------- protocol              requests, replies, frames of JSON
//!       engine                  |
//!      /      \                 |                 KvStore (a log), the same on tokio-fs, SledKvsEngine
//!  thread_pool `------------- error               where engines do their file work; KvsError
//! ```
//!
//! # How a server starts
//!
//! ```text
//!  arguments -> DataDir::claim       one process a directory, one engine a directory
//!            -> KvStore::open        where is each key's value? hints tell, or the segments
//!            -> KvsServer::bind      from here on clients can connect
//!            -> BoundServer::run     starts the network threads; Accept spawns a task a connection
//! ```
//!
//! # The way of one request
//!
//! `kvs-client set k v` sends the 35 bytes `0 0 0 31 {"Set":{"key":"k","value":"v"}}`. On the
//! server:
//!
//! ```text
//!  a network thread                             the engine's pool
//!  ----------------                             -----------------
//!  Input            bytes -> frame
//!  protocol         frame -> Request::Set
//!  Connection       engine.set(k, v)
//!  KvStore          puts the write into a batch,
//!                   returns an EngineFuture
//!  Connection       starts the other requests
//!                   that have come, and polls
//!  KvStore          a round takes every write -->  ... there instead where it may have to wait
//!                   that waits, appends them       for the disk: --sync always, a new segment,
//!                   all to the active segment,     a sync or a compaction under way
//!                   points the index at them,
//!  EngineFuture     is ready          <----------- and keeps the promise of the batch
//!  protocol         Response::Set -> frame `0 0 0 5 "Set"`
//! ```
//!
//! A `Get` looks its key up in the index, which has the values that were in use lately. Where the
//! value is not there, it asks the system for the record on the condition that it need not wait for
//! the disk. Where it would have to, a job on the pool reads the record.

// What the outside world decides must not panic.
#![warn(clippy::unwrap_used)]
#![warn(unreachable_pub)]

pub mod cli;
pub mod client;
pub mod engine;
mod error;
mod guarded;
pub mod protocol;
pub mod server;
mod stderr;
mod sync;
mod tcp;
pub mod thread_pool;
mod token;

pub use self::engine::{KvStore, KvsEngine, SledKvsEngine, TokioFsEngine};
pub use self::error::{ConnectionError, KvsError, Result};
pub use self::server::KvsServer;
pub use self::token::{TOKEN_VARIABLE, Token};

/// The code in the pages of `docs/`, which `cargo test --all-features` compiles and runs.
#[cfg(all(
    doctest,
    feature = "boxed",
    feature = "explicit",
    feature = "anon",
    feature = "manual",
    feature = "pinned",
    feature = "awaited"
))]
mod pages {
    #[doc = include_str!("../docs/introduction.md")]
    mod introduction {}
    #[doc = include_str!("../docs/background.md")]
    mod background {}
    #[doc = include_str!("../docs/part-1-tokio.md")]
    mod part_1 {}
    #[doc = include_str!("../docs/part-2-boxed.md")]
    mod part_2 {}
    #[doc = include_str!("../docs/part-3-explicit.md")]
    mod part_3 {}
    #[doc = include_str!("../docs/part-4-anonymous.md")]
    mod part_4 {}
    #[doc = include_str!("../docs/by-hand.md")]
    mod by_hand {}
    #[doc = include_str!("../docs/side-by-side.md")]
    mod side_by_side {}
    #[doc = include_str!("../docs/part-5-pools.md")]
    mod part_5 {}
    #[doc = include_str!("../docs/part-6-engine.md")]
    mod part_6 {}
    #[doc = include_str!("../docs/part-7-server.md")]
    mod part_7 {}
    #[doc = include_str!("../docs/extension-1-tokio-fs.md")]
    mod extension_1 {}
    #[doc = include_str!("../docs/pin.md")]
    mod pin {}
    #[doc = include_str!("../docs/leaving-futures-0.1.md")]
    mod leaving_0_1 {}
}
