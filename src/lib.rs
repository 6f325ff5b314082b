//! A persistent key/value store with asynchronous networking, and a place to learn Rust futures.
//!
//! # The map
//!
//! Dependencies point downwards only: nothing in an engine knows the network, nothing in a client
//! knows an engine. The client is there four times, in the files of `variants/`, each behind a
//! feature and reached as `client::boxed`, `client::explicit`, `client::anon`, `client::manual`;
//! what they share is in [`client`].
//!
//! ```text
//!   bin/kvs-server        bin/kvs-client          the two programs; cli has what they share
//!         |                     |
//!       server                client              connections, seen from either end
//!         |    \                |
//!         |     `---------- protocol              requests, replies, frames of JSON
//!       engine                  |
//!      /      \                 |                 KvStore (a log of our own), SledKvsEngine
//!  thread_pool `------------- error               where engines do their file work; KvsError
//! ```
//!
//! # How a server starts
//!
//! ```text
//!  arguments -> DataDir::claim       one process a directory, one engine a directory
//!            -> KvStore::open        where is each key's value? hints tell, or the segments
//!            -> KvsServer::bind      from here on clients can connect
//!            -> BoundServer::run     starts tokio's workers; Accept spawns a task a connection
//! ```
//!
//! # The way of one request
//!
//! `kvs-client set k v` sends the 35 bytes `0 0 0 31 {"Set":{"key":"k","value":"v"}}`. On the
//! server:
//!
//! ```text
//!  tokio's worker                               the engine's pool
//!  --------------                               -----------------
//!  FrameCodec       bytes -> frame
//!  tokio-serde-json frame -> Request::Set
//!  connection       engine.set(k, v)
//!  KvStore          queues the write  --------> a round takes every write that waits,
//!                   and returns an              appends them all to the active segment,
//!                   EngineFuture                syncs it (--sync always),
//!                   (the task sleeps)           points the index at the new records,
//!  EngineFuture     is ready          <-------- and fulfils their oneshots
//!  tokio-serde-json Response::Set -> frame
//!  FrameCodec       frame -> bytes `0 0 0 5 "Set"`
//! ```
//!
//! A `Get` looks its key up in the index on tokio's worker. Where the key is not there, that is
//! the answer already; where it is, a job on the pool reads the one record and checks its sum.

// What the outside world decides must not panic.
#![warn(clippy::unwrap_used)]
#![warn(unreachable_pub)]

pub mod cli;
pub mod client;
pub mod engine;
mod error;
pub mod protocol;
pub mod server;
mod sync;
pub mod thread_pool;
mod token;

pub use self::engine::{KvStore, KvsEngine, SledKvsEngine};
pub use self::error::{ConnectionError, KvsError, Result};
pub use self::server::KvsServer;
pub use self::token::{TOKEN_VARIABLE, Token};
