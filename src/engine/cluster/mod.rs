//! An engine on a Redis Cluster: the same promises, with the pairs on other machines.
//!
//! The library that speaks to the nodes is async/await on tokio 1, and the server that calls the
//! engine is futures 0.1 on tokio 0.1. So the engine has a thread with a runtime of its own, and
//! two channels are the bridge: requests go there through an unbounded one, which [`Counters`]
//! bounds, and each answer comes back through a oneshot of futures 0.1. `docs/another-runtime.md`
//! tells the story.
//!
//! - [`job`]: a request, and the meaning of a node's reply for it;
//! - [`slots`] and [`learn`]: which node has which keys, and how the nodes tell;
//! - [`router`]: which request goes to which node, and when;
//! - [`node`] and [`work`]: the connections to a node, and the events on them;
//! - [`driver`]: the thread, which gives the events to the router;
//! - [`scan`]: all pairs, slot by slot.

mod counters;
mod driver;
mod job;
mod learn;
mod node;
mod options;
mod router;
mod scan;
mod slots;
mod work;

use std::sync::{Arc, mpsc};
use std::thread;

use futures::sync::oneshot;
use tokio1::runtime::{self, Handle};
use tokio1::sync::mpsc::{UnboundedSender, unbounded_channel};

use self::counters::Counters;
use self::job::{Ask, Job};
pub use self::options::ClusterOptions;
use super::{EngineFuture, EngineKind, EngineStats, KvsEngine, Page, Scan};
use crate::error::{KvsError, Result};
use crate::stats::ClusterStats;

/// An engine on a Redis Cluster. Several engines, in as many processes, may serve one cluster.
///
/// ```no_run
/// use futures::Future;
/// use kvs::KvsEngine;
/// use kvs::engine::ClusterOptions;
///
/// # fn main() -> kvs::Result<()> {
/// let store = ClusterOptions::new(["127.0.0.1:7000"]).open()?;
/// store.set("key".to_owned(), "value".to_owned()).wait()?;
/// assert_eq!(store.get("key".to_owned()).wait()?, Some("value".to_owned()));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ClusterEngine {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    jobs: UnboundedSender<Job>,
    counters: Arc<Counters>,
    runtime: Handle,
    options: ClusterOptions,
}

impl ClusterOptions {
    /// Connects to the cluster.
    ///
    /// # Errors
    ///
    /// [`KvsError::Cluster`] if no node answers in time, or if a node drops keys when its memory is
    /// full
    pub fn open(self) -> Result<ClusterEngine> {
        ClusterEngine::start(self)
    }
}

impl ClusterEngine {
    fn start(options: ClusterOptions) -> Result<ClusterEngine> {
        let seeds = &options.login.seeds;
        if let Some(seed) = seeds.iter().find(|seed| node::split(seed).is_none()) {
            let reason = format!("{seed:?} is not an address as in 127.0.0.1:7000");
            return Err(KvsError::Cluster { reason });
        }
        let (jobs, arriving) = unbounded_channel();
        let counters = Arc::<Counters>::default();
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(KvsError::io("start a runtime"))?;
        let handle = runtime.handle().clone();
        let (ready, begun) = mpsc::sync_channel(1);
        let run = driver::run(options.clone(), Arc::clone(&counters), arriving, ready);
        thread::Builder::new()
            .name("kvs-cluster".to_owned())
            .spawn(move || runtime.block_on(run))
            .map_err(KvsError::io("start the thread of the cluster"))?;
        begun
            .recv()
            .unwrap_or_else(|_| Err(KvsError::job_panicked()))?;
        Ok(ClusterEngine {
            shared: Arc::new(Shared {
                jobs,
                counters,
                runtime: handle,
                options,
            }),
        })
    }

    /// Sends a request to the thread of the engine.
    fn send<T>(
        &self,
        key: String,
        value_len: usize,
        ask: impl FnOnce(oneshot::Sender<EngineFuture<T>>) -> Ask,
    ) -> EngineFuture<T> {
        match self.shared.counters.permit(key.len() + value_len) {
            Ok(permit) => {
                let (sender, future) = EngineFuture::pending();
                // If the thread is gone, the job is dropped, and its future fails.
                let _ = self.shared.jobs.send(Job::new(key, ask(sender), permit));
                future
            }
            Err(error) => EngineFuture::done(Err(error)),
        }
    }
}

impl KvsEngine for ClusterEngine {
    fn set(&self, key: String, value: String) -> EngineFuture<()> {
        self.send(key, value.len(), |answer| Ask::Set(value, answer))
    }

    fn get(&self, key: String) -> EngineFuture<Option<String>> {
        self.send(key, 0, Ask::Get)
    }

    fn remove(&self, key: String) -> EngineFuture<()> {
        self.send(key, 0, Ask::Remove)
    }

    /// Returns true, because requests of one slot are sent in the order of the calls.
    fn keeps_order(&self) -> bool {
        true
    }

    /// Returns the pairs in the order of their slots, and within a slot in that of their keys.
    fn scan(&self, scan: Scan) -> EngineFuture<Page> {
        let (sender, future) = EngineFuture::pending();
        let Shared {
            counters, options, ..
        } = &*self.shared;
        let (store, options, topology) = (self.clone(), options.clone(), counters.topology());
        self.shared.runtime.spawn(async move {
            let page = scan::page(&store, &options, topology, &scan).await;
            // If the future is dropped, the page has no receiver.
            let _ = sender.send(EngineFuture::done(page));
        });
        future
    }

    fn stats(&self) -> EngineStats {
        let Shared {
            counters, options, ..
        } = &*self.shared;
        let topology = counters.topology();
        let cluster = ClusterStats {
            masters: topology.masters().iter().map(ToString::to_string).collect(),
            slots: topology.covered() as u64,
            batches: Counters::get(&counters.batches),
            redirections: Counters::get(&counters.redirections),
        };
        EngineStats {
            engine: Some(EngineKind::Cluster.to_string()),
            sync: Some(options.sync.to_string()),
            cluster: Some(cluster),
            ..EngineStats::default()
        }
    }
}
