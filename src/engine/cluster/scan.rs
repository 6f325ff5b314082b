//! Listing the pairs of a cluster, slot by slot.
//!
//! `SCAN` has a cursor of one node, which no other node understands after a failover or when slots
//! move. A slot has few keys, and a node can list all of them at once. So the cursor is a slot and
//! the last key in it that was returned, and it stays valid whichever node has the slot.
//!
//! While a slot moves, two nodes have some of its keys each. Keys move from its owner to another
//! node, so the owner is asked first: a key that has left it before that is there when the others
//! are asked.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures03::compat::Future01CompatExt;
use redis::aio::MultiplexedConnection;
use redis::{Pipeline, Value};
use tokio1::time;

use super::learn;
use super::node;
use super::options::{ClusterOptions, Login};
use super::slots::{self, Addr, SLOTS, Slot, Topology};
use crate::engine::future::EngineFuture;
use crate::engine::{KvsEngine, MAX_PAGE_BYTES, Page, Scan};
use crate::error::{KvsError, Result};

/// The number of slots that are listed together at first, and at most.
const FIRST: Slot = 16;
const MOST: Slot = 1024;

/// The number of keys from which fewer slots are listed together.
const MANY: usize = 1000;

/// More keys than a slot has.
const ALL: u32 = u32::MAX / 2;

/// The pause before a page is tried again.
const PAUSE: Duration = Duration::from_millis(100);

/// The number of values that are read together.
const FEW: usize = 64;

/// Returns the cursor behind a key of a slot.
fn cursor(slot: Slot, key: &str) -> String {
    format!("{slot}:{key}")
}

/// Returns the slot and the key of a cursor.
fn read_cursor(cursor: &str) -> Option<(Slot, String)> {
    let (slot, key) = cursor.split_once(':')?;
    let slot = slot.parse().ok().filter(|slot| *slot < SLOTS)?;
    Some((slot, key.to_owned()))
}

/// Returns the next page of a scan.
pub(super) async fn page(
    store: &impl KvsEngine,
    options: &ClusterOptions,
    mut topology: Arc<Topology>,
    scan: &Scan,
) -> Result<Page> {
    let limit = options.limit;
    let start = Instant::now();
    loop {
        match list(store, &options.login, &topology, scan).await {
            // A replica may take the place of a node.
            Err(KvsError::Cluster { .. }) if start.elapsed() < limit => {
                time::sleep(PAUSE).await;
                let learned = learn::topology(&options.login, topology.masters()).await;
                topology = learned.map_or(topology, |learned| Arc::new(learned.topology));
            }
            listed => return listed,
        }
    }
}

async fn list(
    store: &impl KvsEngine,
    login: &Login,
    topology: &Topology,
    scan: &Scan,
) -> Result<Page> {
    let read = |cursor: &String| {
        let bad = || KvsError::BadCursor {
            cursor: cursor.clone(),
        };
        read_cursor(cursor).ok_or_else(bad)
    };
    let last = scan.cursor.as_ref().map(read).transpose()?;
    let mut first = last.as_ref().map_or(0, |(slot, _)| *slot);
    let mut nodes = Nodes::connect(login, topology).await?;
    let mut together = FIRST;
    let (mut page, mut bytes) = (Page::default(), 0);
    while first < SLOTS {
        let end = (first + together).min(SLOTS);
        let keys = nodes.keys(first, end).await?;
        together = if keys.len() < MANY {
            (together * 2).min(MOST)
        } else {
            (together / 2).max(1)
        };
        // Tuples are in the order of their slots, and then of their keys.
        let is_behind = |key: &(Slot, String)| last.as_ref().is_none_or(|last| key > last);
        let wanted = keys.into_iter();
        let wanted = wanted.filter(|key| key.1.starts_with(&scan.prefix) && is_behind(key));
        let wanted: Vec<_> = wanted.collect();
        for some in wanted.chunks(FEW) {
            let values = values(store, some, scan.keys_only);
            for ((slot, key), value) in some.iter().zip(values) {
                let value = value.await?;
                let len = key.len() + value.as_ref().map_or(0, String::len);
                let is_full = page.pairs.len() >= scan.max_pairs()
                    || (!page.pairs.is_empty() && bytes + len > MAX_PAGE_BYTES);
                if is_full {
                    return Ok(page);
                }
                page.cursor = Some(cursor(*slot, key));
                if value.is_some() || scan.keys_only {
                    bytes += len;
                    page.pairs.push((key.clone(), value));
                }
            }
        }
        first = end;
    }
    page.cursor = None;
    Ok(page)
}

/// Reads the values of some keys, as a caller of the engine does. A key may be gone by then.
///
/// Each of these futures is one of futures 0.1, and `compat` makes a std future of it.
fn values(
    store: &impl KvsEngine,
    keys: &[(Slot, String)],
    keys_only: bool,
) -> Vec<impl Future<Output = Result<Option<String>>>> {
    let value = |(_, key): &(Slot, String)| {
        if keys_only {
            EngineFuture::done(Ok(None)).compat()
        } else {
            store.get(key.clone()).compat()
        }
    };
    keys.iter().map(value).collect()
}

/// Connections to all masters, for one page.
struct Nodes<'a> {
    topology: &'a Topology,
    masters: Vec<(Addr, MultiplexedConnection)>,
}

impl Nodes<'_> {
    async fn connect<'a>(login: &Login, topology: &'a Topology) -> Result<Nodes<'a>> {
        let mut masters = Vec::new();
        for addr in topology.masters() {
            let connected = node::connect(&addr, &login.redis()).await;
            let connection = connected.map_err(|error| failed(&addr, &error))?;
            masters.push((addr, connection));
        }
        Ok(Nodes { topology, masters })
    }

    /// Returns all keys of the slots from `first` to `end`, in the order of the slots.
    async fn keys(&mut self, first: Slot, end: Slot) -> Result<BTreeSet<(Slot, String)>> {
        let mut keys = BTreeSet::new();
        // The owners come first. See the top of this file.
        for is_owner in [true, false] {
            for (addr, connection) in &mut self.masters {
                let owns = |slot: &Slot| (self.topology.owner(*slot) == Some(addr)) == is_owner;
                let slots: Vec<_> = (first..end).filter(owns).collect();
                let listed = list_slots(connection, &slots).await;
                let listed = listed.map_err(|error| failed(addr, &error))?;
                for (slot, listed) in slots.iter().zip(&listed) {
                    let names = names(listed).map_err(|problem| failed(addr, &problem))?;
                    keys.extend(names.into_iter().map(|name| (*slot, name)));
                }
            }
        }
        Ok(keys)
    }
}

/// Returns the keys in a node's reply. An error of the node is no empty list.
fn names(reply: &Value) -> std::result::Result<Vec<String>, String> {
    let keys = slots::array(reply).ok_or_else(|| format!("it replied {reply:?}"))?;
    let name = |key| slots::text(key).map(str::to_owned);
    let names: Option<_> = keys.iter().map(name).collect();
    names.ok_or_else(|| "a key is not UTF-8".to_owned())
}

async fn list_slots(
    connection: &mut MultiplexedConnection,
    slots: &[Slot],
) -> redis::RedisResult<Vec<Value>> {
    if slots.is_empty() {
        return Ok(Vec::new());
    }
    let mut pipeline = Pipeline::with_capacity(slots.len());
    for slot in slots {
        pipeline
            .cmd("CLUSTER")
            .arg("GETKEYSINSLOT")
            .arg(*slot)
            .arg(ALL);
    }
    connection
        .send_packed_commands(&pipeline, 0, slots.len())
        .await
}

fn failed(addr: &Addr, problem: &dyn std::fmt::Display) -> KvsError {
    KvsError::Cluster {
        reason: format!("{addr} cannot list its keys: {problem}"),
    }
}
