//! sled behind the engine's interface.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use log::warn;
use parking_lot::{Mutex, RwLock};

use super::files::{Directory, check_sync};
use super::inside::{Inside, is_inside};
use super::{DataDir, EngineFuture, EngineKind, EngineStats, KvsEngine, SyncLevel};
use crate::error::{KvsError, Result};
use crate::thread_pool::{ThreadPool, check_threads};

/// A [`sled::Db`] as an engine. sled's calls may block, so each runs on the pool.
///
/// sled keeps writes in the memory of the process until it flushes them. The engine therefore
/// answers a write after a flush that began when sled had the write, and one flush answers all the
/// writes that wait for it. A read of a key whose last write is not flushed waits for that flush
/// too, so no caller sees a value that a kill could still lose.
#[derive(Debug, Clone)]
pub struct SledKvsEngine<P: ThreadPool> {
    handle: Arc<Handle>,
    pool: P,
}

impl<P: ThreadPool> SledKvsEngine<P> {
    /// Takes a database that is open already, with `concurrency` threads to work on it.
    ///
    /// An acknowledged write survives a kill. It reaches the disk when the database's own settings
    /// say so. sled itself may keep the database locked for a moment after its last handle is gone;
    /// [`open`](SledKvsEngine::open) waits for that, and this cannot.
    ///
    /// # Errors
    ///
    /// What [`ThreadPool::new`] says of `concurrency` threads, and of those that sled needs.
    pub fn new(db: sled::Db, concurrency: u32) -> Result<SledKvsEngine<P>> {
        let pool = P::new(concurrency)?;
        check_threads(SLED_THREADS)?;
        start_threads(&db);
        Ok(SledKvsEngine {
            handle: Arc::new(Handle {
                shared: Arc::new(Shared::new(db, None)),
                sync: SyncLevel::Never,
                dir: None,
            }),
            pool,
        })
    }

    /// Opens the database in the directory `path`, which may be new.
    ///
    /// # Errors
    ///
    /// What [`DataDir::claim`] says of the directory, [`KvsError::Locked`] if a sled database in it
    /// is open without this engine, [`KvsError::Sled`] if sled cannot open it, and what [`ThreadPool::new`] says of `concurrency` threads and of those that sled needs.
    pub fn open(
        path: impl Into<PathBuf>,
        sync: SyncLevel,
        concurrency: u32,
    ) -> Result<SledKvsEngine<P>> {
        // The claim comes first, so that a directory in use costs no threads.
        let dir = DataDir::claim(path, EngineKind::Sled)?;
        let pool = P::new(concurrency)?;
        check_threads(SLED_THREADS)?;
        let flush_every_ms = match sync {
            SyncLevel::Always | SyncLevel::Never => None,
            SyncLevel::EverySec => Some(1000),
        };
        check_sync(&dir, sync)?;
        dir.part_files().map_err(KvsError::io(format_args!(
            "copy the files in {:?} that are hard links",
            dir.path()
        )))?;
        // sled opens files by their paths, also later on.
        let path = dir.path_of_descriptor();
        let config = sled::Config::new().path(&path);
        // If the system has no thread for the flush after all, sled panics.
        let db = catch(|| {
            let opened = config.flush_every_ms(flush_every_ms).open();
            opened.map_err(|error| cannot_open(error, &path, dir.path()))
        })?;
        start_threads(&db);
        let dir = SledDir(dir);
        let log = match sync {
            SyncLevel::Always => {
                let log = dir.open_log();
                Some(log.map_err(KvsError::io("open sled's log, to sync it"))?)
            }
            SyncLevel::EverySec | SyncLevel::Never => None,
        };
        let handle = Arc::new(Handle {
            shared: Arc::new(Shared::new(db, log)),
            sync,
            dir: Some(dir),
        });
        Ok(SledKvsEngine { handle, pool })
    }

    /// Runs `request`, which reads or writes `key`, on the pool, or at once if this thread is
    /// already inside a pool.
    fn spawn<T, F>(&self, access: Access, key: String, request: F) -> EngineFuture<T>
    where
        F: FnOnce(&sled::Db, &str) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        if is_inside() {
            let result = self.handle.shared.run_at_once(access, &key, request);
            return EngineFuture::done(result);
        }
        let (sender, future) = EngineFuture::pending();
        let request = move |shared: &Shared, db: &sled::Db| {
            let (result, wrote) = shared.run(db, access, &key, request);
            let answer = Box::new(move |flushed: Result<()>| {
                let result = result.and_then(|item| flushed.map(|()| item));
                // If the caller has dropped the future, nobody misses the result.
                let _ = sender.send(EngineFuture::done(result));
            });
            shared.end(key, wrote, answer)
        };
        let (shared, job) = (&self.handle.shared, Job::Request(Box::new(request)));
        shared.state.lock().jobs.push_back(job);
        spawn_work(&self.pool, shared);
        future
    }
}

/// The threads that sled starts, seven for its files and one that flushes.
const SLED_THREADS: usize = 8;

/// Has sled start the threads for its files. It does so with their first job and never again: if
/// none could start, that job and all later ones would wait for ever.
fn start_threads(db: &sled::Db) {
    let mut context = Context::from_waker(Waker::noop());
    // The job begins with the first poll, and nobody waits for its end.
    let _ = pin!(db.flush_async()).poll(&mut context);
}

/// Runs the next job on `pool`, and then the flush that it asks for.
fn spawn_work<P: ThreadPool>(pool: &P, shared: &Arc<Shared>) {
    // The pool is the user's code, too.
    let _inside = Inside::enter();
    let (on, shared) = (pool.clone(), Arc::clone(shared));
    pool.spawn(move || {
        let _inside = Inside::enter();
        let done = shared.work();
        if done.needs_flush {
            spawn_work(&on, &shared);
        }
        done.answer();
    });
}

/// Converts an error of sled, which was told to open `path`, to one that names `dir` instead. `path`
/// means nothing to the user: it may be that of a descriptor.
fn cannot_open(error: sled::Error, path: &Path, dir: &Path) -> KvsError {
    let rename = |text: &str| text.replace(&*path.to_string_lossy(), &dir.to_string_lossy());
    KvsError::Sled(match error {
        sled::Error::Io(error) => {
            let text = error.to_string();
            // sled has a lock of its own. Its error has no kind of its own, so this checks the text.
            if text.contains("could not acquire lock") && text.contains("WouldBlock") {
                return KvsError::Locked { dir: dir.into() };
            }
            match rename(&text) {
                // It keeps the system's error code.
                renamed if renamed == text => sled::Error::Io(error),
                renamed => sled::Error::Io(io::Error::new(error.kind(), renamed)),
            }
        }
        sled::Error::Unsupported(text) => sled::Error::Unsupported(rename(&text)),
        sled::Error::ReportableBug(text) => sled::Error::ReportableBug(rename(&text)),
        other => other,
    })
}

/// Calls sled, which panics at times. A request that met such a panic has failed as any other.
fn catch<T>(call: impl FnOnce() -> Result<T>) -> Result<T> {
    panic::catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|_| {
        let reason = "its job panicked".to_owned();
        Err(KvsError::EngineStopped { reason })
    })
}

/// What a request does to its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    Read,
    Write,
}

/// What the pool does with the database.
enum Job {
    Request(Request),
    Flush,
}

type Request = Box<dyn FnOnce(&Shared, &sled::Db) -> Done + Send>;

/// Tells the caller of a request its result, or the error of the flush that it has waited for.
type Answer = Box<dyn FnOnce(Result<()>) + Send>;

/// What is left to do after a job, once the thread holds no lock: a caller that gets its answer may
/// do anything, and close the engine too.
#[derive(Default)]
struct Done {
    answers: Vec<(Answer, Result<()>)>,
    /// Whether the job has put a flush into the queue.
    needs_flush: bool,
}

impl Done {
    fn now(answer: Answer, flushed: Result<()>) -> Done {
        Done {
            answers: vec![(answer, flushed)],
            needs_flush: false,
        }
    }

    fn answer(self) {
        for (answer, flushed) in self.answers {
            // A caller that panics when it is notified costs the others nothing.
            let _ = panic::catch_unwind(AssertUnwindSafe(|| answer(flushed)));
        }
    }
}

/// The database, and the requests to it.
struct Shared {
    /// Jobs hold the lock for reading. `None` when the engine is closed.
    db: RwLock<Option<sled::Db>>,
    /// The file with sled's log, if a flush has to reach the disk. On Linux sled itself calls
    /// `sync_file_range`, which leaves out the size of the file and the cache of the disk.
    log: Option<File>,
    /// Held during a sync. The system reports a failed one only once, so no other sync may succeed
    /// before the failure is noted. It is locked before `state`.
    syncing: Mutex<()>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// In the order of the calls. For each of them the pool has been asked to run one.
    jobs: VecDeque<Job>,
    /// How many writes of each key have begun that no flush covers yet.
    unflushed: HashMap<String, usize>,
    /// The requests that the next flush answers.
    waiting: Vec<Waiting>,
    /// Whether a flush for `waiting` is in the queue or under way. Two at a time would share the
    /// writers out.
    is_flushing: bool,
    /// Why a flush failed. The engine writes nothing after that: it cannot know what is lost.
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

    /// Takes back what [`Shared::begin`] has noted.
    fn is_flushed(&mut self, key: &str) {
        if let Some(writes) = self.unflushed.get_mut(key) {
            *writes -= 1;
            if *writes == 0 {
                self.unflushed.remove(key);
            }
        }
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
}

impl Shared {
    fn new(db: sled::Db, log: Option<File>) -> Shared {
        Shared {
            db: RwLock::new(Some(db)),
            log,
            syncing: Mutex::default(),
            state: Mutex::default(),
        }
    }

    /// Does the next job.
    fn work(&self) -> Done {
        // The lock comes first: the close does the jobs that are in the queue when it has the lock.
        let db = self.db.read();
        let done = db.as_ref().and_then(|db| self.next_job(db));
        done.unwrap_or_default()
    }

    fn next_job(&self, db: &sled::Db) -> Option<Done> {
        let job = self.state.lock().jobs.pop_front()?;
        Some(match job {
            Job::Request(request) => request(self, db),
            Job::Flush => self.flush(db),
        })
    }

    /// Runs `request` on `db`. Returns its result, and whether it has left a write of `key` that is
    /// to be flushed.
    fn run<T>(
        &self,
        db: &sled::Db,
        access: Access,
        key: &str,
        request: impl FnOnce(&sled::Db, &str) -> Result<T>,
    ) -> (Result<T>, bool) {
        let begun = self.begin(access, key);
        let mut wrote = access == Access::Write && begun.is_ok();
        let result = begun.and_then(|()| catch(|| request(db, key)));
        if wrote && matches!(result, Err(KvsError::KeyNotFound)) {
            self.state.lock().is_flushed(key);
            wrote = false;
        }
        (result, wrote)
    }

    /// Runs `request` on this thread, and then a flush if `key` needs one.
    fn run_at_once<T>(
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
    fn end(&self, key: String, wrote: bool, answer: Answer) -> Done {
        let mut state = self.state.lock();
        if !state.unflushed.contains_key(&key) {
            return Done::now(answer, Ok(()));
        }
        if let Err(stopped) = state.check() {
            return Done::now(answer, Err(stopped));
        }
        let written = wrote.then_some(key);
        state.waiting.push(Waiting { written, answer });
        Done {
            answers: Vec::new(),
            needs_flush: state.request_flush(),
        }
    }

    /// Flushes, and answers every request that waits.
    fn flush(&self, db: &sled::Db) -> Done {
        let mut waiting = mem::take(&mut self.state.lock().waiting);
        let flushed = self.sync(db);
        let mut state = self.state.lock();
        state.is_flushing = false;
        match &flushed {
            Ok(()) => {
                let written = waiting
                    .iter()
                    .filter_map(|waiting| waiting.written.as_ref());
                written.for_each(|key| state.is_flushed(key));
            }
            Err(_) => waiting.append(&mut state.waiting),
        }
        let answers = waiting.into_iter().map(|waiting| waiting.answer);
        Done {
            answers: answers.map(|answer| (answer, flushed.clone())).collect(),
            needs_flush: !state.waiting.is_empty() && state.request_flush(),
        }
    }

    /// Flushes what sled has. After a failure, stops the engine.
    fn sync(&self, db: &sled::Db) -> Result<()> {
        let _alone = self.syncing.lock();
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

/// What all clones of an engine share. The drop of the last one closes the database.
struct Handle {
    shared: Arc<Shared>,
    sync: SyncLevel,
    /// `None` for a database that the caller opened.
    dir: Option<SledDir>,
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("sync", &self.sync)
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

impl Drop for Handle {
    /// Waits for the jobs that other threads run, and runs the others here: this may be a thread of
    /// the pool, which would wait for itself.
    fn drop(&mut self) {
        let mut shared = self.shared.db.write();
        let Some(db) = shared.take() else { return };
        let mut done = Vec::new();
        while let Some(job) = self.shared.next_job(&db) {
            done.push(job);
        }
        drop(shared);
        // sled flushes what is left.
        drop(db);
        drop(self.dir.take());
        done.into_iter().for_each(Done::answer);
    }
}

/// The claim on sled's directory, which ends when sled has let go of it too: sled's threads may
/// hold the lock on its file for a moment after the database was dropped.
#[derive(Debug)]
struct SledDir(DataDir);

impl SledDir {
    /// Opens the file that has sled's log, and its lock.
    fn open_log(&self) -> io::Result<File> {
        self.0.open_file("db")
    }
}

impl Drop for SledDir {
    fn drop(&mut self) {
        let wait = || -> io::Result<()> {
            let file = self.open_log()?;
            file.lock()?;
            // Closing would leave the lock to a child process that is just being started.
            file.unlock()
        };
        match wait() {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                warn!("sled may still have {:?} open: {error}", self.0.path());
            }
            _ => {}
        }
    }
}

impl<P: ThreadPool> KvsEngine for SledKvsEngine<P> {
    fn set(&self, key: String, value: String) -> EngineFuture<()> {
        self.spawn(Access::Write, key, move |db, key| {
            db.insert(key, value.into_bytes())?;
            Ok(())
        })
    }

    fn get(&self, key: String) -> EngineFuture<Option<String>> {
        self.spawn(Access::Read, key, |db, key| match db.get(key)? {
            None => Ok(None),
            Some(value) => match String::from_utf8(value.to_vec()) {
                Ok(value) => Ok(Some(value)),
                Err(_) => Err(KvsError::NotUtf8 { key: key.into() }),
            },
        })
    }

    fn remove(&self, key: String) -> EngineFuture<()> {
        self.spawn(Access::Write, key, |db, key| match db.remove(key)? {
            Some(_) => Ok(()),
            None => Err(KvsError::KeyNotFound),
        })
    }

    fn stats(&self) -> EngineStats {
        EngineStats {
            engine: Some(EngineKind::Sled.to_string()),
            sync: Some(self.handle.sync.to_string()),
            ..EngineStats::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use futures::executor::{self, Notify};
    use futures::{Async, Future};

    use super::*;
    use crate::thread_pool::SharedQueueThreadPool;

    type PoolJob = Box<dyn FnOnce() + Send>;

    /// A pool whose jobs run when the test wants them to.
    #[derive(Clone)]
    struct ByHand(Arc<Mutex<VecDeque<PoolJob>>>);

    impl ThreadPool for ByHand {
        fn new(_: u32) -> Result<ByHand> {
            Ok(ByHand(Arc::default()))
        }

        fn spawn<F: FnOnce() + Send + 'static>(&self, job: F) {
            self.0.lock().push_back(Box::new(job));
        }
    }

    impl ByHand {
        fn run_next(&self) -> bool {
            let job = self.0.lock().pop_front();
            job.map(|job| job()).is_some()
        }
    }

    struct Nothing;

    impl Notify for Nothing {
        fn notify(&self, _: usize) {}
    }

    fn is_ready<T>(future: &mut executor::Spawn<EngineFuture<T>>) -> bool {
        let polled = future.poll_future_notify(&Arc::new(Nothing), 0);
        polled.unwrap().is_ready()
    }

    fn open(dir: &tempfile::TempDir) -> SledKvsEngine<ByHand> {
        SledKvsEngine::open(dir.path(), SyncLevel::Never, 1).unwrap()
    }

    fn set<P: ThreadPool>(engine: &SledKvsEngine<P>, key: &str) -> EngineFuture<()> {
        engine.set(key.to_owned(), "value".to_owned())
    }

    #[test]
    fn all_writes_that_wait_share_one_flush() {
        let dir = tempfile::tempdir().unwrap();
        let engine = open(&dir);
        let writes = (0..1000).map(|n| executor::spawn(set(&engine, &n.to_string())));
        let mut writes: Vec<_> = writes.collect();
        for _ in 0..1000 {
            assert!(engine.pool.run_next());
        }
        assert!(!writes.iter_mut().any(is_ready));
        // The flush.
        assert!(engine.pool.run_next());
        assert!(writes.iter_mut().all(is_ready));
        assert!(!engine.pool.run_next());
    }

    #[test]
    fn what_is_not_flushed_is_not_visible() {
        let dir = tempfile::tempdir().unwrap();
        let engine = open(&dir);
        let key = || "key".to_owned();
        let mut requests = vec![executor::spawn(engine.set(key(), "value".to_owned()))];
        assert!(engine.pool.run_next());
        let mut get = executor::spawn(engine.get(key()));
        let mut other = executor::spawn(engine.get("other".to_owned()));
        requests.push(executor::spawn(engine.remove(key())));
        let mut gone = executor::spawn(engine.remove(key()));
        // The flush is in the queue behind the write, and the others are behind the flush. What
        // they meet is what the removal has left.
        let flush = engine.handle.shared.state.lock().jobs.pop_front().unwrap();
        while !engine.handle.shared.state.lock().jobs.is_empty() {
            assert!(engine.pool.run_next());
        }
        assert!(is_ready(&mut other));
        assert!(!is_ready(&mut get) && !requests.iter_mut().any(is_ready));
        let polled = gone.poll_future_notify(&Arc::new(Nothing), 0);
        assert!(matches!(polled, Ok(Async::NotReady)));

        engine.handle.shared.state.lock().jobs.push_back(flush);
        assert!(engine.pool.run_next());
        assert!(requests.iter_mut().all(is_ready));
        let value = get.wait_future().unwrap();
        assert_eq!(value.as_deref(), Some("value"));
        assert!(matches!(gone.wait_future(), Err(KvsError::KeyNotFound)));
    }

    #[test]
    fn after_a_failed_flush_nothing_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let db = sled::Config::new().path(dir.path()).open().unwrap();
        // A pipe cannot be synced.
        let (pipe, _writer) = io::pipe().unwrap();
        let log = File::from(std::os::fd::OwnedFd::from(pipe));
        let engine = SledKvsEngine {
            pool: SharedQueueThreadPool::new(2).unwrap(),
            handle: Arc::new(Handle {
                shared: Arc::new(Shared::new(db, Some(log))),
                sync: SyncLevel::Always,
                dir: None,
            }),
        };
        let waiting = [set(&engine, "a"), set(&engine, "b")];
        for write in waiting {
            let error = write.wait().unwrap_err();
            assert!(error.to_string().contains("sync sled's log"), "{error}");
        }
        let error = set(&engine, "c").wait().unwrap_err();
        assert!(matches!(error, KvsError::EngineStopped { .. }), "{error}");
        // This may be on the disk or not. A key that was never written is not there.
        let error = engine.get("a".to_owned()).wait().unwrap_err();
        assert!(matches!(error, KvsError::EngineStopped { .. }), "{error}");
        assert_eq!(engine.get("c".to_owned()).wait().unwrap(), None);
    }

    #[test]
    fn a_directory_in_use_is_reported_as_such_and_costs_no_threads() {
        #[derive(Clone)]
        struct Unneeded;

        impl ThreadPool for Unneeded {
            fn new(_: u32) -> Result<Unneeded> {
                panic!("it starts threads")
            }

            fn spawn<F: FnOnce() + Send + 'static>(&self, _: F) {}
        }

        let in_use = |opened: Result<()>| match opened {
            Err(KvsError::Locked { dir }) => dir,
            other => panic!("{other:?}"),
        };
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap();
        let db = sled::open(&path).unwrap();
        let opened = SledKvsEngine::<ByHand>::open(&path, SyncLevel::Never, 1);
        assert_eq!(in_use(opened.map(drop)), path);
        drop(db);

        let claim = DataDir::claim(&path, EngineKind::Sled).unwrap();
        let opened = SledKvsEngine::<Unneeded>::open(&path, SyncLevel::Never, 1);
        assert_eq!(in_use(opened.map(drop)), path);
        drop(claim);
    }

    #[test]
    fn errors_of_opening_name_the_directory_and_not_a_descriptor() {
        let text = "no such file: \"/proc/self/fd/7/db\"".to_owned();
        let errors = [
            sled::Error::Io(io::Error::new(ErrorKind::NotFound, text.clone())),
            sled::Error::Unsupported(text.clone()),
            sled::Error::ReportableBug(text),
        ];
        for error in errors {
            let error = cannot_open(error, Path::new("/proc/self/fd/7"), Path::new("/data"));
            assert!(matches!(error, KvsError::Sled(_)));
            let text = error.to_string();
            assert!(text.contains("no such file: \"/data/db\""), "{text}");
        }
        let error = sled::Error::Io(io::Error::from_raw_os_error(5));
        let error = cannot_open(error, Path::new("/proc/self/fd/7"), Path::new("/data"));
        let KvsError::Sled(sled::Error::Io(error)) = error else {
            panic!("{error}");
        };
        assert_eq!(error.raw_os_error(), Some(5));
    }

    #[test]
    fn the_last_handle_may_go_when_a_caller_is_told() {
        struct Drops(Mutex<Option<SledKvsEngine<ByHand>>>, mpsc::Sender<()>);

        impl Notify for Drops {
            fn notify(&self, _: usize) {
                drop(self.0.lock().take());
                let _ = self.1.send(());
            }
        }

        let dir = tempfile::tempdir().unwrap();
        let engine = open(&dir);
        let (pool, (sender, dropped)) = (engine.pool.clone(), mpsc::channel());
        let mut write = executor::spawn(set(&engine, "key"));
        assert!(pool.run_next());
        // It is in the queue of the thread that is about to close the engine.
        drop(set(&engine, "later"));
        let drops = Arc::new(Drops(Mutex::new(Some(engine)), sender));
        let polled = write.poll_future_notify(&drops, 0).unwrap();
        assert!(polled.is_not_ready());
        assert!(pool.run_next());
        dropped.try_recv().unwrap();

        let engine = open(&dir);
        let mut later = executor::spawn(engine.get("later".to_owned()));
        assert!(engine.pool.run_next());
        assert_eq!(later.wait_future().unwrap().as_deref(), Some("value"));
        while pool.run_next() {}
    }
}
