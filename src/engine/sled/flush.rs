//! The queue of a database, and the flush that the requests in it share.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::mem;
use std::panic::{self, AssertUnwindSafe};

use parking_lot::{Mutex, RwLock};

use super::error::catch;
use super::scan::{Range, read_page};
use crate::error::{KvsError, Result};
use crate::scan::{Page, Scan};

/// A piece of work on the database.
pub(super) enum Job {
    Request(Request),
    Flush,
}

type Request = Box<dyn FnOnce(&Shared, &sled::Db) -> Done + Send>;

/// Tells the caller of a request its result, or the error of the flush that it has waited for.
pub(super) type Answer = Box<dyn FnOnce(Result<()>) + Send>;

/// The rest of a job, for when the thread holds no lock: a caller that gets its answer may do
/// anything, such as drop the engine.
#[derive(Default)]
pub(super) struct Done {
    pub(super) answers: Vec<(Answer, Result<()>)>,
    /// Whether the job has put a flush into the queue.
    pub(super) needs_flush: bool,
}

impl Done {
    pub(super) fn now(answer: Answer, flushed: Result<()>) -> Done {
        Done {
            answers: vec![(answer, flushed)],
            needs_flush: false,
        }
    }

    pub(super) fn answer(self) {
        for (answer, flushed) in self.answers {
            // If a caller panics when it is notified, the others still get their answers.
            let _ = panic::catch_unwind(AssertUnwindSafe(|| answer(flushed)));
        }
    }
}

/// The access that a request needs to its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}

/// The database, and the requests to it. The locks are taken in the order of the fields.
pub(super) struct Shared {
    /// Jobs hold the lock for reading. `None` when the engine is closed.
    db: RwLock<Option<sled::Db>>,
    /// The file with sled's log, if a flush has to reach the disk. On Linux sled itself calls
    /// `sync_file_range`, which leaves out the size of the file and the cache of the disk.
    log: Option<File>,
    /// Held during a sync. The system reports a failed one only once, so no other sync may succeed
    /// before the failure is noted.
    syncing: Mutex<()>,
    pub(super) state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    /// In the order of the calls. The pool has been asked once for each of them to run a job.
    pub(super) jobs: VecDeque<Job>,
    /// For each key, the number of writes that have begun and that no flush covers yet.
    unflushed: HashMap<String, usize>,
    /// The requests that the next flush answers.
    waiting: Vec<Waiting>,
    /// Whether a flush for `waiting` is in the queue or is running. With two at a time, each would
    /// answer only some of the writes.
    is_flushing: bool,
    /// Why a flush failed. The engine writes nothing after that: it cannot know which writes are
    /// lost.
    stopped: Option<String>,
}

/// A request that sled has done, and whose key is not flushed.
struct Waiting {
    /// The key, if the request wrote it.
    written: Option<String>,
    answer: Answer,
}

impl State {
    fn check(&self) -> Result<()> {
        match self.stopped.clone() {
            None => Ok(()),
            Some(reason) => Err(KvsError::EngineStopped { reason }),
        }
    }

    /// Notes that one write of `key` is flushed, or has changed nothing.
    fn is_flushed(&mut self, key: &str) {
        if let Some(writes) = self.unflushed.get_mut(key) {
            *writes -= 1;
            if *writes == 0 {
                self.unflushed.remove(key);
            }
        }
    }

    /// Returns whether a key of `range` has a write that no flush covers.
    fn is_unflushed(&self, range: &Range) -> bool {
        self.unflushed.keys().any(|key| range.contains(key))
    }

    /// Puts a flush into the queue, behind the writes in it, which will share the flush. Returns
    /// whether there was none.
    fn request_flush(&mut self) -> bool {
        if mem::replace(&mut self.is_flushing, true) {
            return false;
        }
        self.jobs.push_back(Job::Flush);
        true
    }

    /// Answers a request after the next flush.
    fn answer_after_flush(&mut self, request: Waiting) -> Done {
        if let Err(stopped) = self.check() {
            return Done::now(request.answer, Err(stopped));
        }
        self.waiting.push(request);
        Done {
            answers: Vec::new(),
            needs_flush: self.request_flush(),
        }
    }
}

impl Shared {
    pub(super) fn new(db: sled::Db, log: Option<File>) -> Shared {
        Shared {
            db: RwLock::new(Some(db)),
            log,
            syncing: Mutex::default(),
            state: Mutex::default(),
        }
    }

    /// Puts a job into the queue.
    pub(super) fn push(&self, job: Job) {
        self.state.lock().jobs.push_back(job);
    }

    /// Runs the next job.
    pub(super) fn work(&self) -> Done {
        // The lock comes before the job. Otherwise, the close could find the job neither in the
        // queue nor under the lock.
        let db = self.db.read();
        let done = db.as_ref().and_then(|db| self.next_job(db));
        done.unwrap_or_default()
    }

    fn next_job(&self, db: &sled::Db) -> Option<Done> {
        // The lock ends with this line, because a request takes it again.
        let job = self.state.lock().jobs.pop_front()?;
        Some(match job {
            Job::Request(request) => request(self, db),
            Job::Flush => self.flush(db),
        })
    }

    /// Takes the database when no other thread works on it, and runs the jobs that are left.
    /// Returns `None` if the engine is closed already.
    pub(super) fn close(&self) -> Option<(sled::Db, Vec<Done>)> {
        // This waits for the jobs that other threads run: they hold the lock for reading.
        let mut open = self.db.write();
        let db = open.take()?;
        let mut done = Vec::new();
        while let Some(job) = self.next_job(&db) {
            done.push(job);
        }
        Some((db, done))
    }

    /// Runs `request` on `db`. Returns its result, and whether it has left a write of `key` that is
    /// to be flushed.
    pub(super) fn run<T>(
        &self,
        db: &sled::Db,
        access: Access,
        key: &str,
        request: impl FnOnce(&sled::Db, &str) -> Result<T>,
    ) -> (Result<T>, bool) {
        let begun = self.begin(access, key);
        let mut wrote = access == Access::Write && begun.is_ok();
        let result = begun.and_then(|()| catch(|| request(db, key)));
        // Any other error may come after sled has the write.
        if wrote && matches!(result, Err(KvsError::KeyNotFound)) {
            self.state.lock().is_flushed(key);
            wrote = false;
        }
        (result, wrote)
    }

    /// Runs `request` on this thread, and then a flush if `key` needs one.
    pub(super) fn run_at_once<T>(
        &self,
        access: Access,
        key: &str,
        request: impl FnOnce(&sled::Db, &str) -> Result<T>,
    ) -> Result<T> {
        let db = self.db.read();
        let db = db.as_ref().expect("the caller has a handle");
        let (result, wrote) = self.run(db, access, key, request);
        let needs_flush = self.state.lock().unflushed.contains_key(key);
        let flushed = if needs_flush { self.sync(db) } else { Ok(()) };
        if wrote && flushed.is_ok() {
            self.state.lock().is_flushed(key);
        }
        result.and_then(|item| flushed.map(|()| item))
    }

    /// Reads a page on this thread, and then runs a flush if one of its keys needs it.
    pub(super) fn scan_at_once(&self, scan: Scan) -> Result<Page> {
        let db = self.db.read();
        let db = db.as_ref().expect("the caller has a handle");
        let (page, range) = read_page(db, scan)?;
        let needs_flush = self.state.lock().is_unflushed(&range);
        if needs_flush {
            self.sync(db)?;
        }
        Ok(page)
    }

    /// Notes that a write begins, before a read can meet it.
    fn begin(&self, access: Access, key: &str) -> Result<()> {
        if access == Access::Write {
            let mut state = self.state.lock();
            state.check()?;
            *state.unflushed.entry(key.to_owned()).or_default() += 1;
        }
        Ok(())
    }

    /// Answers a request that sled has done: at once, or after a flush if its key needs one.
    pub(super) fn end(&self, key: String, wrote: bool, answer: Answer) -> Done {
        let mut state = self.state.lock();
        // A read needs a flush, too, if it may have met a write that no flush covers.
        if state.unflushed.contains_key(&key) {
            let written = wrote.then_some(key);
            state.answer_after_flush(Waiting { written, answer })
        } else {
            Done::now(answer, Ok(()))
        }
    }

    /// Answers a scan that has read the keys of `range`, in the same way.
    pub(super) fn end_scan(&self, range: &Range, answer: Answer) -> Done {
        let mut state = self.state.lock();
        if state.is_unflushed(range) {
            let written = None;
            state.answer_after_flush(Waiting { written, answer })
        } else {
            Done::now(answer, Ok(()))
        }
    }

    /// Flushes, and answers every request that waits.
    fn flush(&self, db: &sled::Db) -> Done {
        // Before the sync: a request that joins during the sync may not be covered by it.
        let mut waiting = mem::take(&mut self.state.lock().waiting);
        let flushed = self.sync(db);
        let mut state = self.state.lock();
        state.is_flushing = false;
        if flushed.is_ok() {
            let written = waiting
                .iter()
                .filter_map(|waiting| waiting.written.as_ref());
            written.for_each(|key| state.is_flushed(key));
        } else {
            // No later flush will answer these.
            waiting.append(&mut state.waiting);
        }
        let answers = waiting.into_iter().map(|waiting| waiting.answer);
        Done {
            answers: answers.map(|answer| (answer, flushed.clone())).collect(),
            // Requests may have joined during the sync.
            needs_flush: !state.waiting.is_empty() && state.request_flush(),
        }
    }

    /// Flushes all writes that sled has. After a failure, stops the engine.
    fn sync(&self, db: &sled::Db) -> Result<()> {
        let _alone = self.syncing.lock();
        // The sync of another thread may have failed while this one waited.
        self.state.lock().check()?;
        let flushed = catch(|| {
            db.flush()?;
            match &self.log {
                Some(log) => log.sync_data().map_err(KvsError::io("sync sled's log")),
                None => Ok(()),
            }
        });
        flushed.inspect_err(|error| self.state.lock().stopped = Some(error.to_string()))
    }
}
