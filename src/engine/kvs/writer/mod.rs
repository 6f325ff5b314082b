//! Group commit: queued writes are committed together, by one thread at a time.

pub(crate) mod queue;
