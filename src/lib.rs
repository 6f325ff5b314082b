//! A persistent key/value store with asynchronous networking, and a place to learn Rust futures.
//!
//! # Examples
//!
//! A store in this process. Its futures are those of futures 0.1, and any thread can wait for them:
//!
#![cfg_attr(feature = "server", doc = "```")]
#![cfg_attr(not(feature = "server"), doc = "```ignore")]
//! use futures::Future;
//! use kvs::thread_pool::SharedQueueThreadPool;
//! use kvs::{KvStore, KvsEngine};
//!
//! # let scratch = tempfile::tempdir().unwrap();
//! # let dir = scratch.path();
//! let store = KvStore::<SharedQueueThreadPool>::open(dir, 4)?;
//! store.set("key".to_owned(), "value".to_owned()).wait()?;
//! assert_eq!(store.get("key".to_owned()).wait()?, Some("value".to_owned()));
//! # Ok::<(), kvs::KvsError>(())
//! ```
//!
//! A client of the server at `addr`. This is the one of the feature `awaited`, whose futures are those
//! of the standard library:
//!
#![cfg_attr(all(feature = "server", feature = "awaited"), doc = "```")]
#![cfg_attr(not(all(feature = "server", feature = "awaited")), doc = "```ignore")]
//! use kvs::client::awaited::KvsClient;
//!
//! # let (addr, _server) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/doctest.rs"));
//! # futures03::executor::block_on(async {
//! let mut client = KvsClient::connect(addr).await?;
//! client.set("key".to_owned(), "value".to_owned()).await?;
//! assert_eq!(client.get("key".to_owned()).await?, Some("value".to_owned()));
//! # Ok::<(), kvs::KvsError>(())
//! # }).unwrap();
//! ```
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `server` | yes | the engines `KvStore` and `TokioFsEngine`, the thread pools and `KvsServer` |
//! | `sled` | yes | the engine `SledKvsEngine`; enables `server` |
//! | `cli` | yes | the program `kvs-client`, and with `server` the program `kvs-server` |
//! | `boxed`, `explicit`, `anon`, `manual` | no | a client each, with futures 0.1 |
//! | `pinned`, `awaited` | no | a client each, with the futures of the standard library |
//!
//! Without the default features, the crate is a library of clients. The blocking client needs no
//! feature.
//!
//! # The map
//!
//! Dependencies point downwards only: nothing in an engine knows the network, nothing in a client
//! knows an engine. The client is written in six ways, in the files of `variants/`, each behind a
//! feature: four with futures 0.1 (`client::boxed`, `client::explicit`, `client::anon` and
//! `client::manual`) and two with std futures (`client::pinned` and `client::awaited`). The code that
//! they share is in [`client`]. The course in `docs/` explains each of them, beginning with
//! `docs/introduction.md`.
//!
//! ```text
//!   bin/kvs-server        bin/kvs-client          the two programs, and bin/cli, which they share
//!         |                     |
//!       server                client              connections, seen from either end
//!         |    \                |
//!         |     `---------- protocol              requests, replies, frames of JSON
//!       engine                  |
//!      /      \                 |                 KvStore (a log), the same on tokio-fs, SledKvsEngine
//!  thread_pool `------------- error               where engines do their file work; KvsError
//! ```
//!
//! Smaller modules serve several of these. Server and client both use `token`, `tcp`, which sets the
//! options of sockets, and `guarded`, which keeps a panic of one task away from the others. `names` has
//! the parts of an engine that a client sees, its name and its statistics. The programs and the server
//! log through `stderr`, which never makes a request wait. The engines take their locks from `sync`, so
//! that a test can replace them.
//!
//! Within the larger modules:
//!
//! ```text
//!  server           accept, network                take connections, and the threads that serve them
//!                   connection, pipeline, peer     one connection, its requests, and its peer
//!                   input, output, clocks, limits  the buffers and deadlines of a peer, its limits
//!                   shared, counters, quiet_log    the state of all connections, statistics, log lines
//!                   refusal                        errors for peers
//!                   shutdown, signals              the shutdown, and the signals that start it
//!  client           connection, driver             a handle, and the task that owns the socket
//!                   call, queue                    the requests between them
//!                   background, blocking           a thread for callers without a runtime; no futures
//!  engine           data_dir, open_dir, files      a claimed directory, held open, and its files
//!                   future                         the future that every engine returns
//!  engine::kvs      queue, log, segment, record    from a batch of writes to bytes on the disk
//!                   index, values                  where each key's value is, and values in use
//!                   unsynced, compaction, work     syncs and other jobs in the background
//!                   hints, checkpoint, recovery    how a store opens
//!                   check                          --verify and --repair
//!                   journal, pool                  loggers and thread pools, called without a lock
//! ```
//!
//! # How a server starts
//!
//! ```text
//!  main      -> Signals::block       before there is a second thread; a thread then waits for signals
//!  arguments -> server::listen       takes the port, which other processes cannot have from here on
//!            -> DataDir::claim       one process a directory, one engine a directory
//!            -> KvStore::open        where is each key's value? checkpoint, hints or segments tell
//!            -> KvsServer::listen    makes a server of the engine and the port
//!            -> Signals::shut_down   from here on a signal shuts the server down in order
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
//!  KvStore          takes the writer's turn and -->  ... or on the pool, if it might have to wait
//!                   commits the whole batch:         for the disk: --sync always, a long batch,
//!                   appends it to the active         a new segment, a sync under way
//!                   segment, updates the index
//!                   gives the turn back, keeps
//!                   the promise of the batch,
//!                   writes the log lines
//!  EngineFuture     resolves         <----------- the promise wakes the task of the connection
//!  protocol         Response::Set -> frame `0 0 0 5 "Set"`
//! ```
//!
//! The engine calls the pool, the tasks and the logger only after the thread has given the turn
//! back, since all three may call the engine.
//!
//! A `Get` looks its key up in the index, which also has the values that were in use lately. If the
//! value is not there, the engine reads the record at once, on the condition that the system need not
//! wait for the disk. If it would have to wait, a job on the pool reads the record.

// What the outside world decides must not panic.
#![warn(clippy::unwrap_used)]
#![warn(unreachable_pub)]
// docs.rs shows at each item which feature it needs.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod client;
#[cfg(feature = "server")]
pub mod engine;
mod error;
mod guarded;
mod names;
pub mod protocol;
#[cfg(feature = "server")]
pub mod server;
mod stats;
#[cfg(any(feature = "server", feature = "cli"))]
#[doc(hidden)]
pub mod stderr;
#[cfg(feature = "server")]
mod sync;
mod tcp;
#[cfg(feature = "server")]
pub mod thread_pool;
mod token;

#[cfg(feature = "sled")]
pub use self::engine::SledKvsEngine;
#[cfg(feature = "server")]
pub use self::engine::{KvStore, KvsEngine, TokioFsEngine};
pub use self::error::{ConnectionError, KvsError, Result};
pub use self::names::{EngineKind, UnknownName};
#[cfg(feature = "server")]
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
