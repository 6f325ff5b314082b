//! Reads: from memory, from the page cache of the system, or by a job on the pool.

use std::sync::Arc;

use super::index::{Index, Place};
use super::pool::Pool;
use crate::engine::EngineFuture;
use crate::sync::RwLock;
use crate::thread_pool::ThreadPool;

/// A read behind queued writes copies a value up to this length when the writes are committed. A
/// longer one is read when the future is polled, so that results that wait for a poll take little
/// memory.
const MAX_EAGER: usize = 256;

/// The reading half of a store.
#[derive(Debug)]
pub(crate) struct Reader<P: ThreadPool> {
    pub(crate) index: Arc<RwLock<Index>>,
    pool: Arc<Pool<P>>,
}

impl<P: ThreadPool> Reader<P> {
    pub(crate) fn new(index: Arc<RwLock<Index>>, pool: Arc<Pool<P>>) -> Reader<P> {
        Reader { index, pool }
    }

    /// Returns the number of keys, and the bytes of their records.
    pub(crate) fn size(&self) -> (usize, u64) {
        let index = self.index.read();
        (index.len(), index.live_bytes())
    }

    /// Prepares for reads of these keys.
    pub(crate) fn look_ahead<'k>(&self, keys: impl Iterator<Item = &'k str>) {
        self.index.read().look_ahead(keys);
    }

    /// Calls `read` with the value of `key`, if it is in memory.
    pub(crate) fn with_value<T>(&self, key: &str, read: impl FnOnce(&str) -> T) -> Option<T> {
        // The lock keeps the value in its place.
        let index = self.index.read();
        let value = index.lookup(key)?.value()?;
        Some(read(value))
    }

    /// Reads the value of `key`. Its job on the pool, if it needs one, starts at once.
    pub(crate) fn get(&self, key: String) -> EngineFuture<Option<String>> {
        let index = self.index.read();
        let Some(entry) = index.lookup(&key) else {
            return EngineFuture::done(Ok(None));
        };
        if let Some(value) = entry.value() {
            return found(value);
        }
        let place = entry.place();
        // `read` locks the index again, to cache the value.
        drop(index);
        self.read(key, place)
    }

    /// Reads the value that `key` has in `index`. The writer has the index locked, so this does
    /// not wait and does not use the pool: the future does when it is polled.
    pub(crate) fn get_later(
        self: &Arc<Self>,
        index: &Index,
        key: &str,
    ) -> EngineFuture<Option<String>> {
        let Some(entry) = index.lookup(key) else {
            return EngineFuture::done(Ok(None));
        };
        if let Some(value) = entry.value().filter(|value| value.len() <= MAX_EAGER) {
            return found(value);
        }
        let (reader, place, key) = (Arc::clone(self), entry.place(), key.to_owned());
        EngineFuture::lazy(move || {
            // The value may have come into memory since the lookup.
            if let Some(value) = reader.index.read().value_at(&place) {
                return found(value);
            }
            reader.read(key, place)
        })
    }

    /// Reads the record of `key` at `place`.
    fn read(&self, key: String, place: Place) -> EngineFuture<Option<String>> {
        let len = place.location.len as usize;
        let read = match place.segment.value_at_once(place.location, &key) {
            Some(Ok(value)) => {
                self.index.write().cache_value(&place, &value);
                EngineFuture::done(Ok(Some(value)))
            }
            Some(Err(error)) => EngineFuture::done(Err(error)),
            // This does not cache the value: the next read finds it in the memory of the system,
            // and caches it.
            None => {
                let Place {
                    location, segment, ..
                } = place;
                self.pool
                    .run(move || segment.value(location, &key).map(Some))
            }
        };
        read.with_size(len)
    }
}

/// Returns the result of a read whose value is in memory.
fn found(value: &str) -> EngineFuture<Option<String>> {
    EngineFuture::done(Ok(Some(value.to_owned()))).with_size(value.len())
}
