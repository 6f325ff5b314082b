//! A disk that lets other threads run before each call, and the machine around it.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ::kvs::engine::SyncLevel;
use ::kvs::engine::files::{Directory, File};

use super::{Store, pause};
use crate::common::disk::Disk;
use crate::common::later::Later;
use crate::engine::kvs::KvStoreOptions;

/// A disk in use by one store. Each call lets other threads run first.
#[derive(Debug)]
struct Slow {
    disk: Disk,
    /// Whether a store uses the disk.
    is_in_use: Arc<AtomicBool>,
}

impl Drop for Slow {
    fn drop(&mut self) {
        self.is_in_use.store(false, Ordering::SeqCst);
    }
}

#[derive(Debug)]
struct SlowFile(Arc<dyn File>);

impl Slow {
    fn opened(opened: io::Result<Arc<dyn File>>) -> io::Result<Arc<dyn File>> {
        opened.map(|file| Arc::new(SlowFile(file)) as Arc<dyn File>)
    }
}

impl Directory for Slow {
    fn path(&self) -> &Path {
        self.disk.path()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        pause();
        self.disk.list()
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        pause();
        Slow::opened(self.disk.open(name))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        pause();
        Slow::opened(self.disk.create(name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        pause();
        self.disk.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        pause();
        self.disk.remove(name)
    }

    fn sync(&self) -> io::Result<()> {
        pause();
        self.disk.sync()
    }

    fn free_bytes(&self) -> io::Result<u64> {
        self.disk.free_bytes()
    }

    fn boot(&self) -> String {
        self.disk.boot()
    }
}

impl File for SlowFile {
    fn size(&self) -> io::Result<u64> {
        pause();
        self.0.size()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        pause();
        self.0.read_at(buffer, offset)
    }

    fn can_write_at_once(&self) -> bool {
        self.0.can_write_at_once()
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        pause();
        self.0.write_all_at(bytes, offset)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        pause();
        self.0.truncate(len)
    }

    fn sync(&self) -> io::Result<()> {
        pause();
        self.0.sync()
    }
}

/// A disk that one store at a time may use.
#[derive(Debug, Clone, Default)]
pub struct Machine {
    pub disk: Disk,
    is_in_use: Arc<AtomicBool>,
}

impl Machine {
    /// Opens a store with tiny segments that compacts all the time.
    pub fn open(&self, level: SyncLevel) -> Store {
        let was_in_use = self.is_in_use.swap(true, Ordering::SeqCst);
        assert!(!was_in_use, "the last one still has the directory");
        let disk = Slow {
            disk: self.disk.clone(),
            is_in_use: Arc::clone(&self.is_in_use),
        };
        let options = KvStoreOptions::default().sync(level);
        let options = options.segment_bytes(100).dead_bytes(60);
        options.open_in(disk, 1).unwrap()
    }

    /// Opens a store on the bytes that a power cut would certainly leave.
    pub fn after_power_cut(&self) -> ::kvs::KvStore<Later> {
        let options = ::kvs::KvStore::<Later>::options().sync(SyncLevel::Never);
        options.open_in(self.disk.durable(), 1).unwrap()
    }
}
