//! The thread of the engine: a runtime of tokio 1, in which all connections to the cluster live.

use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use futures03::stream::FuturesUnordered;
use futures03::{FutureExt, StreamExt};
use tokio1::sync::mpsc::UnboundedReceiver;
use tokio1::time::{self, MissedTickBehavior};

use super::counters::Counters;
use super::job::Job;
use super::learn::{self, Learned};
use super::options::ClusterOptions;
use super::router::Router;
use crate::error::{KvsError, Result};

/// The time between two looks at the requests that wait for a node.
const TICK: Duration = Duration::from_millis(50);

/// The most requests that are taken from the channel at once.
const MANY: usize = 4096;

/// Learns the topology, reports that, and then serves the requests until there is no handle that
/// could send more.
pub(super) async fn run(
    options: ClusterOptions,
    counters: Arc<Counters>,
    jobs: UnboundedReceiver<Job>,
    ready: SyncSender<Result<()>>,
) {
    // If the caller is gone, so is the channel of requests.
    match begin(&options).await {
        Ok(learned) => {
            let router = Router::new(options, Arc::clone(&counters), learned);
            let _ = ready.send(Ok(()));
            serve(router, jobs, &counters).await;
        }
        Err(error) => drop(ready.send(Err(error))),
    }
}

/// Learns the topology, and tries again until the time is over.
async fn begin(options: &ClusterOptions) -> Result<Learned> {
    let start = Instant::now();
    loop {
        match learn::topology(&options.login, [].into()).await {
            Ok(learned) => {
                learn::check_memory(&options.login, &learned.topology).await?;
                return Ok(learned);
            }
            Err(problem) if start.elapsed() >= options.limit => {
                return Err(KvsError::Cluster {
                    reason: format!("no node has told its slots: {problem}"),
                });
            }
            Err(_) => time::sleep(TICK).await,
        }
    }
}

async fn serve(mut router: Router, mut jobs: UnboundedReceiver<Job>, counters: &Counters) {
    let mut running = FuturesUnordered::new();
    let mut ticks = time::interval(TICK);
    // After a long batch, the ticks that were missed would come at once, and find nothing new.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut arrived, mut is_open) = (Vec::with_capacity(MANY), true);
    while is_open || counters.has_jobs() {
        running.extend(router.next());
        tokio1::select! {
            Some(event) = running.next() => router.apply(event),
            n = jobs.recv_many(&mut arrived, MANY), if is_open => is_open = n > 0,
            _ = ticks.tick(), if counters.has_jobs() => router.tick(),
        }
        // A batch costs two system calls, however long it is. So all events and requests that are
        // there are taken before the next batches begin.
        while let Some(Some(event)) = running.next().now_or_never() {
            router.apply(event);
        }
        if is_open && arrived.is_empty() {
            let more = pin!(jobs.recv_many(&mut arrived, MANY));
            if more.now_or_never() == Some(0) {
                is_open = false;
            }
        }
        arrived.drain(..).for_each(|job| router.push(job));
    }
}
