use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::mpsc;

use futures::executor::{self, Notify};
use futures::{Async, Future};
use parking_lot::Mutex;

use super::open::cannot_open;
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
    // The flush is in the queue behind the write, and the others are behind the flush. They meet
    // the state that the removal has left.
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
fn a_scan_shows_no_key_before_it_is_flushed() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(&dir);
    let scan = |prefix: &str, limit| {
        let scan = Scan {
            limit,
            ..Scan::prefix(prefix)
        };
        executor::spawn(engine.scan(scan))
    };
    let mut writes = ["a1", "a3", "b"].map(|key| executor::spawn(set(&engine, key)));
    while engine.pool.run_next() {}
    assert!(writes.iter_mut().all(is_ready));

    let mut write = executor::spawn(set(&engine, "a2"));
    let mut remove = executor::spawn(engine.remove("a3".to_owned()));
    let [mut all, mut one, mut others] = [scan("a", 10), scan("a", 1), scan("b", 10)];
    // The flush is behind all of these.
    for _ in 0..5 {
        assert!(engine.pool.run_next());
    }
    assert!(!is_ready(&mut write) && !is_ready(&mut remove));
    let keys = |page: Page| -> Vec<_> { page.pairs.into_iter().map(|(key, _)| key).collect() };
    assert_eq!(keys(one.wait_future().unwrap()), ["a1"]);
    assert_eq!(keys(others.wait_future().unwrap()), ["b"]);
    assert!(!is_ready(&mut all));
    assert!(engine.pool.run_next());
    assert_eq!(keys(all.wait_future().unwrap()), ["a1", "a2"]);
    assert!(is_ready(&mut write) && is_ready(&mut remove));
    assert!(!engine.pool.run_next());
}

#[test]
fn a_scan_inside_the_pool_flushes_what_it_shows() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(&dir);
    let mut write = executor::spawn(set(&engine, "key"));
    assert!(engine.pool.run_next());
    let page = {
        let _inside = Inside::enter();
        engine.scan(Scan::prefix("")).wait().unwrap()
    };
    assert_eq!(page.pairs.len(), 1);
    assert!(!is_ready(&mut write));
    assert!(engine.pool.run_next());
    assert!(is_ready(&mut write));
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
    let error = engine.scan(Scan::prefix("a")).wait().unwrap_err();
    assert!(matches!(error, KvsError::EngineStopped { .. }), "{error}");
    assert_eq!(
        engine.scan(Scan::prefix("c")).wait().unwrap(),
        Page::default()
    );
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
        assert!(matches!(error, KvsError::Sled { .. }));
        let text = error.to_string();
        assert!(text.contains("no such file: \"/data/db\""), "{text}");
    }
    let error = sled::Error::Io(io::Error::from_raw_os_error(5));
    let error = cannot_open(error, Path::new("/proc/self/fd/7"), Path::new("/data"));
    let KvsError::Sled { source } = error else {
        panic!("{error}");
    };
    let Some(sled::Error::Io(error)) = source.downcast_ref() else {
        panic!("{source}");
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
