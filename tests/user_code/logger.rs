//! A logger that calls the store.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};

use futures::Future;
use kvs::KvStore;
use kvs::engine::SyncLevel;
use kvs::thread_pool::SharedQueueThreadPool;
use log::{LevelFilter, Log, Metadata, Record};

use super::{IS_CALLING, get, in_time, options, set};
use crate::common::disk::{Disk, Faults};

type OnLine = Arc<dyn Fn(&str) + Send + Sync>;

static ON_LINE: Mutex<Option<OnLine>> = Mutex::new(None);

struct CallingLogger;

impl Log for CallingLogger {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let on_line = ON_LINE.lock().unwrap().clone();
        if let Some(on_line) = on_line
            && !IS_CALLING.replace(true)
        {
            on_line(&record.args().to_string());
            IS_CALLING.set(false);
        }
    }

    fn flush(&self) {}
}

/// The process has one logger, so these tests run one at a time.
fn with_logger() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let _ = log::set_boxed_logger(Box::new(CallingLogger));
    log::set_max_level(LevelFilter::Info);
    alone
}

#[test]
fn a_logger_may_call_the_store_that_it_hears_of() {
    let _alone = with_logger();
    in_time("calls of the logger", || {
        let dir = tempfile::tempdir().unwrap();
        let options = options().segment_bytes(200).dead_bytes(300);
        let store: KvStore<SharedQueueThreadPool> = options.open(dir.path(), 1).unwrap();
        let (heard, lines) = mpsc::channel();
        let called = store.clone();
        *ON_LINE.lock().unwrap() = Some(Arc::new(move |line: &str| {
            if line.contains("freed") {
                set(&called, "logged", line).wait().unwrap();
                assert_eq!(get(&called, "logged").as_deref(), Some(line));
                let _ = heard.send(());
            }
        }));
        while lines.try_recv().is_err() {
            set(&store, "key", "value").wait().unwrap();
        }
        *ON_LINE.lock().unwrap() = None;
    });
}

/// The writer logs the line, or the thread that syncs every second.
#[test]
fn a_logger_may_drop_the_last_handle_of_the_store_that_it_hears_of() {
    for level in [SyncLevel::Always, SyncLevel::EverySec] {
        let _alone = with_logger();
        in_time("a logger that closes the store", move || {
            let disk = Disk::default();
            let options = options().sync(level);
            let store: KvStore<SharedQueueThreadPool> = options.open_in(disk.clone(), 1).unwrap();
            disk.set_faults(Faults {
                sync_file: true,
                ..Faults::default()
            });
            let write = set(&store, "key", "value");
            let store = Mutex::new(Some(store));
            let (heard, lines) = mpsc::channel();
            *ON_LINE.lock().unwrap() = Some(Arc::new(move |line: &str| {
                if line.contains("no more writes") {
                    drop(store.lock().unwrap().take());
                    let _ = heard.send(());
                }
            }));
            let _ = write.wait();
            lines.recv().unwrap();
            *ON_LINE.lock().unwrap() = None;
        });
    }
}
