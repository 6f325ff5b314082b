//! Work at a node, and its result.

use futures03::future::BoxFuture;
use redis::Value;
use redis::aio::MultiplexedConnection;

use super::job::Job;
use super::learn::Learned;
use super::node::Lost;
use super::slots::{Addr, Slot};
use crate::engine::SyncLevel;

/// The lane of writes, and of everything unless writes wait for a replica.
pub(super) const WRITES: usize = 0;
/// The lane of reads if writes wait for a replica.
pub(super) const READS: usize = 1;

/// Work at a node, which ends with an event.
pub(super) type Work = BoxFuture<'static, Event>;

/// The result of work at a node.
pub(super) enum Event {
    Connected(Addr, usize, Result<MultiplexedConnection, String>),
    /// The slots of a batch, its requests, and their replies.
    Answered(
        Addr,
        usize,
        Vec<Slot>,
        Vec<Job>,
        Result<(MultiplexedConnection, Vec<Value>), Lost>,
    ),
    Learned(Result<Learned, String>),
}

/// Returns the lane that a request takes.
pub(super) fn lane_of(sync: SyncLevel, job: &Job) -> usize {
    if sync == SyncLevel::Always && !job.is_write() {
        READS
    } else {
        WRITES
    }
}
