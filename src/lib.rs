//! A persistent key/value store with asynchronous networking, and a place to learn Rust futures.
//!
//! # Examples
//!
//! A store in this process, with the feature `server`. Its futures are those of futures 0.1, and
//! any thread can wait for them:
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
//! A client of the server at `addr`, with the feature `awaited`. Its futures are those of the
//! standard library. [Other clients](client) have other futures, and the
//! [blocking one](client::blocking::KvsClient) has none:
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
//! | `cluster` | no | the engine `ClusterEngine`; enables `server` |
//! | `cli` | yes | the program `kvs-client`, and with `server` the program `kvs-server` |
//! | `boxed`, `explicit`, `anon`, `manual` | no | a client each, with futures 0.1 |
//! | `pinned`, `awaited` | no | a client each, with the futures of the standard library |
//!
//! Without the default features, the crate is a library of clients. The blocking client needs no
//! feature.
//!
//! Items that this documentation hides are for the programs, tests, benchmarks and fuzz targets of
//! this package. They are not covered by semantic versioning.
//!
//! # The map
//!
//! Dependencies point downwards only. No engine knows the network, and no client knows an engine. A
//! test holds that (`tests/house`).
//!
//! ```text
//!   bin/kvs-server        bin/kvs-client          the two programs, and bin/cli, which they share
//!         |                     |
//!         |                 variants/             the client in six ways, each behind a feature
//!         |                     |
//!       server                client              connections, seen from either end
//!         |    \                |
//!         |     `---------- protocol              requests, replies, frames of JSON
//!       engine                  |                 KvStore, the same on tokio::fs, SledKvsEngine
//!      /      \                 |
//!  thread_pool `------------- error               the threads for file work; every error
//! ```
//!
//! Small modules that several of these use: `token` (the secret, compared in constant time), `tcp`
//! (options of sockets), `guarded` (a panic ends one task only), `stderr` (log lines never make a
//! request wait), `names` and `stats` (all that a client sees of an engine), `scan` (the pages of a
//! scan, as data), `sync` (the locks of the engine, which a test replaces).
//!
//! The files of the larger modules:
//!
//! ```text
//!  server           accept, network                accept connections; poll them on a few threads
//!                   connection                     one connection: its turn, whether its token is
//!                                                  right, when it stops reading (back-pressure)
//!                   connection: ending, plain      its end; plain sets, gets of cached values
//!                   pipeline                       its requests in flight, in order
//!                   peer, input, output, clocks    its socket, its two buffers, its deadlines
//!                   ahead                          tells the engine which keys are read next
//!                   stage, progress                the stages of its life; the result of a step
//!                   shared, limits                 the budgets of all connections
//!                   refusal                        replies to bad, late or unauthorized requests
//!                   counters, latency              statistics; the latencies of requests
//!                   quiet_log                      a limit on log lines about peers
//!                   shutdown, signals              the shutdown, and the signals that start it
//!
//!  client           connection                     the handle that the variants share
//!                   queue, call                    the bounded queue of requests (back-pressure)
//!                   driver                         the task that owns the socket
//!                   pages                          where a scan is between two pages
//!                   background                     a thread for callers without a runtime
//!                   blocking                       the client without futures
//!
//!  protocol         message, kind                  requests and replies; the codes of errors
//!                   json                           their JSON, most of it without a parser
//!                   frame                          the length prefix, and the longest frame
//!
//!  engine           future, sync_level             the future that every engine returns, and when
//!                                                  the one of a write completes
//!                   data_dir, open_dir, files      a directory, locked and held open; its files
//!                   inside                         marks the threads of a pool
//!                   repair                         verifies or repairs a directory
//!                   kvs, tokio_fs, sled, cluster   the engines
//!
//!  engine::kvs      format    record, segment      the bytes of the log, as in docs/format.md
//!                             hints, watermark     the bytes of the files beside it
//!                             sound, salvage       sound records, and finding them in damage
//!                   index     mod                  the keydir: the place of each newest value
//!                             cache                values in memory, and which to evict
//!                             few                  keys that are looked up together
//!                             live                 the live bytes of each segment
//!                             order                the segments in the order of the writes
//!                             checkpoint           the keydir in a file
//!                   log       mod, batch           commits a batch: append, sync, put in the index
//!                             syncer               syncs the log, for batches and every second
//!                             segments             rolls to a new segment, replaces old ones
//!                             background, job      which job runs next, and when to compact
//!                             compaction           copies the live records
//!                             removal              removes what compaction has replaced
//!                             recovery, replay     opens a log, and cuts a torn tail off
//!                             close, failure       closes it; the error that stops all writes
//!                   reader                         a read: cache, page cache, or a job on the pool
//!                   scan                           a page of a scan, in the order of the writes
//!                   writer    mod                  group commit: which thread writes now
//!                             queue, promise       the queued writes, and the outcome of a batch
//!                             gather               how long a commit waits for more requests
//!                   check     survey, losses       verify: reads everything, reports losses
//!                             rewrite, report      repair: writes the sound records anew
//!                   options                        the settings that a store is opened with
//!                   journal, pool                  loggers and thread pools, called without a lock
//!
//!  engine::cluster  driver                         the thread of the engine, with its own runtime
//!                   router                         which request goes to which node, and when
//!                   job, counters                  a request on its way; what is under way
//!                   node, work                     the connections to a node; what happens there
//!                   slots, learn                   which node has which keys, and how nodes tell
//!                   scan                           a page of a scan, slot by slot
//!                   options                        how to reach a cluster
//! ```
//!
//! # The book
//!
//! The pages in `docs/` are a course on futures and the reference of the store.
//! `cargo run --package kvs-book -- --open` makes a book of them and opens it.
//!
//! # A reading order
//!
//! In half an hour, the lesson: `variants/boxed.rs`, then its `diff` with `explicit.rs`, `anon.rs`
//! and `manual.rs`, with `docs/introduction.md` beside them. Then the same for a stream, in
//! `variants/streams`.
//!
//! In an afternoon, the way of one request through both programs, as below. On the client:
//! `client::connection`, `queue`, `driver`. On the server: `server::connection` with `pipeline`. In
//! between: `protocol::message` and `frame`. Then `engine::future`, and of the engine
//! `kvs::writer` and `kvs::reader`.
//!
//! In a day, the rest of the engine, from the ground up: `docs/format.md` beside `kvs::format`,
//! then `kvs::index`, `kvs::log` (`mod`, `syncer`, `background`, `recovery`) and `kvs::check`. Last
//! `docs/guarantees.md`, which names the test of each promise.
//!
//! # How a server starts
//!
//! ```text
//!  main      -> Signals::block       before there is a second thread; one then waits for signals
//!  arguments -> server::listen       takes the port, which no other process can have from here on
//!            -> DataDir::claim       one process a directory, one engine a directory
//!            -> KvStore::open        finds each value, by checkpoint, hints or segments
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
//!  server::input      bytes -> frame
//!  protocol::json     frame -> Request::Set
//!  server::connection engine.set(k, v)
//!  kvs::writer        queues the write in a
//!                     batch, returns a future
//!  server::pipeline   holds the future, until
//!                     the other requests that
//!                     have come are started
//!  engine::future     the first poll
//!  kvs::writer        takes the turn       -->   or a run on the pool takes it, if the commit
//!                                                might have to wait for the disk: `always`,
//!                                                a long batch, a new segment, a running sync
//!  kvs::log           commits the batch: appends
//!                     it to the active segment,
//!                     then shows it in the index
//!  kvs::writer        keeps the promise, gives
//!                     the turn back, and wakes
//!                     the waiting tasks
//!  engine::future     resolves             <--   the task of the connection is woken
//!  protocol::frame    Response::Set -> `0 0 0 5 "Set"`
//!  server::output     bytes -> socket
//! ```
//!
//! A `Get` looks its key up in the index, which also has the values that were read or written
//! lately. If the value is not there, `kvs::reader` reads the record at once, on the condition that
//! the system need not wait for the disk. If it would have to wait, a job on the pool reads the
//! record.

// Nothing from outside may panic the process.
#![warn(clippy::unwrap_used)]
// A caller can name every type of the API, with any features.
#![warn(unnameable_types)]
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
mod scan;
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
    #[doc = include_str!("../docs/types.md")]
    mod types {}
    #[doc = include_str!("../docs/part-1-tokio.md")]
    mod part_1 {}
    #[doc = include_str!("../docs/part-2-boxed.md")]
    mod part_2 {}
    #[doc = include_str!("../docs/part-3-explicit.md")]
    mod part_3 {}
    #[doc = include_str!("../docs/part-4-anonymous.md")]
    mod part_4 {}
    #[doc = include_str!("../docs/from-nothing.md")]
    mod from_nothing {}
    #[doc = include_str!("../docs/by-hand.md")]
    mod by_hand {}
    #[doc = include_str!("../docs/side-by-side.md")]
    mod side_by_side {}
    #[doc = include_str!("../docs/patterns.md")]
    mod patterns {}
    #[doc = include_str!("../docs/streams.md")]
    mod streams {}
    #[doc = include_str!("../docs/sinks.md")]
    mod sinks {}
    #[doc = include_str!("../docs/cancellation.md")]
    mod cancellation {}
    #[doc = include_str!("../docs/testing-futures.md")]
    mod testing_futures {}
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
    #[doc = include_str!("../docs/six.md")]
    mod six {}
    #[doc = include_str!("../docs/leaving-futures-0.1.md")]
    mod leaving_0_1 {}
    #[doc = include_str!("../docs/client-api.md")]
    mod client_api {}
}
