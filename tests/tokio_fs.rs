//! The engine on `tokio::fs` beside `KvStore`: both read the same files, even if they are damaged.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::mpsc;

use futures::{Future, future};
use kvs::engine::{EngineKind, KvStoreOptions};
use kvs::thread_pool::SharedQueueThreadPool;
use kvs::{KvStore, KvsEngine, KvsError, SledKvsEngine, TokioFsEngine};
use tempfile::TempDir;
use tokio::runtime::{self, Runtime, current_thread};

type Files = BTreeMap<String, Vec<u8>>;

/// The store's answer for each key, or the error of opening it.
type Opened = Result<Vec<Result<Option<String>, String>>, String>;

const KEYS: usize = 6;

fn options() -> KvStoreOptions {
    KvStoreOptions::default().segment_bytes(150).dead_bytes(300)
}

fn on_pool(dir: &Path) -> Result<KvStore<SharedQueueThreadPool>, KvsError> {
    options().open(dir, 1)
}

fn on_tokio_fs(dir: &Path) -> Result<TokioFsEngine, KvsError> {
    TokioFsEngine::open_with(&options(), dir, 1)
}

fn key(n: usize) -> String {
    format!("key{}", n % KEYS)
}

fn write(store: &impl KvsEngine, from: usize) {
    for n in from..from + 20 {
        store.set(key(n), format!("value {n}")).wait().unwrap();
    }
    store.remove(key(from)).wait().unwrap();
}

fn read(store: &impl KvsEngine) -> Vec<Result<Option<String>, String>> {
    let values = (0..KEYS).map(|n| store.get(key(n)).wait());
    values
        .map(|value| value.map_err(|error| error.to_string()))
        .collect()
}

fn files(dir: &Path) -> Files {
    let entries = fs::read_dir(dir).unwrap().map(Result::unwrap);
    let read = |entry: fs::DirEntry| {
        let name = entry.file_name().into_string().unwrap();
        (name, fs::read(entry.path()).unwrap())
    };
    entries.map(read).collect()
}

/// Opens an engine on these files and closes it. Returns its answers, and the files that it has put
/// aside.
fn open<E: KvsEngine>(open: fn(&Path) -> Result<E, KvsError>, files: &Files) -> (Opened, Files) {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        fs::write(dir.path().join(name), bytes).unwrap();
    }
    let opened = open(dir.path()).map(|store| read(&store));
    let path = dir.path().to_str().unwrap();
    let opened = opened.map_err(|error| error.to_string().replace(path, "DIR"));
    let opened = opened.map(|values| {
        let values = values.into_iter();
        values
            .map(|value| value.map_err(|error| error.replace(path, "DIR")))
            .collect()
    });
    // Compaction and hints change the other files in the background.
    let kept = |name: &String| name.contains("torn") || name.contains("damaged");
    let mut files = self::files(dir.path());
    files.retain(|name, _| kept(name));
    (opened, files)
}

/// Returns the files of a closed store with several segments.
fn some_files() -> Files {
    let dir = tempfile::tempdir().unwrap();
    let store = on_pool(dir.path()).unwrap();
    write(&store, 0);
    write(&store, 7);
    drop(store);
    files(dir.path())
}

fn both_open_alike(files: &Files, name: &str) {
    assert_eq!(open(on_pool, files), open(on_tokio_fs, files), "{name}");
}

#[test]
fn each_engine_reads_the_files_of_the_other_and_continues_in_them() {
    let dir = tempfile::tempdir().unwrap();
    for n in 0..4 {
        let store = on_tokio_fs(dir.path()).unwrap();
        write(&store, 100 * n);
        let expected = read(&store);
        drop(store);
        let store = on_pool(dir.path()).unwrap();
        assert_eq!(read(&store), expected);
        write(&store, 100 * n + 50);
        let expected = read(&store);
        drop(store);
        assert_eq!(read(&on_tokio_fs(dir.path()).unwrap()), expected);
    }
    assert_eq!(files(dir.path())["kvs-engine"], b"kvs\n");
}

#[test]
fn a_directory_of_another_engine_and_one_in_use_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(SledKvsEngine::<SharedQueueThreadPool>::open(dir.path(), Default::default(), 1).unwrap());
    let refused = on_tokio_fs(dir.path()).unwrap_err();
    assert!(matches!(
        refused,
        KvsError::WrongEngine {
            found: EngineKind::Sled,
            asked: EngineKind::TokioFs,
            ..
        }
    ));

    let dir: TempDir = tempfile::tempdir().unwrap();
    let _store = on_pool(dir.path()).unwrap();
    let refused = on_tokio_fs(dir.path()).unwrap_err();
    assert!(matches!(refused, KvsError::Locked { .. }));
}

#[test]
fn a_flipped_byte_is_the_same_to_both() {
    let files = some_files();
    for (name, bytes) in &files {
        for at in (0..bytes.len()).step_by(7) {
            let mut files = files.clone();
            files.get_mut(name).unwrap()[at] ^= 0x10;
            both_open_alike(&files, &format!("byte {at} of {name}"));
        }
    }
}

#[test]
fn a_segment_cut_off_anywhere_is_the_same_to_both() {
    let files = some_files();
    let segments = files.iter().filter(|(name, _)| name.ends_with(".segment"));
    for (name, bytes) in segments {
        for len in (0..bytes.len()).step_by(3) {
            let mut files = files.clone();
            // With the checkpoint, the store would open.
            files.remove("kvs-checkpoint");
            files.get_mut(name).unwrap().truncate(len);
            both_open_alike(&files, &format!("{len} bytes of {name}"));
        }
    }
}

/// Files of tokio 0.1 need a thread pool of tokio, and the engine has one.
#[test]
fn its_futures_can_be_waited_for_on_any_thread() {
    let dir = tempfile::tempdir().unwrap();
    let store = on_tokio_fs(dir.path()).unwrap();
    let set = |key: &str| store.set(key.to_owned(), "value".to_owned());
    set("plain thread").wait().unwrap();
    let mut one_thread = current_thread::Runtime::new().unwrap();
    one_thread.block_on(set("one thread")).unwrap();
    let mut many_threads = Runtime::new().unwrap();
    many_threads.block_on(set("many threads")).unwrap();
    for key in ["plain thread", "one thread", "many threads"] {
        let value = store.get(key.to_owned()).wait().unwrap();
        assert_eq!(value.as_deref(), Some("value"), "{key}");
    }
}

/// Returns a runtime with one worker, which the engine does not know.
fn foreign_runtime() -> Runtime {
    runtime::Builder::new().core_threads(1).build().unwrap()
}

#[test]
fn it_can_be_opened_and_closed_in_the_blocking_section_of_another_pool() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_owned();
    let mut job = Some(move || {
        let store = on_tokio_fs(&path).unwrap();
        write(&store, 0);
        read(&store)
    });
    let task = future::poll_fn(move || tokio_threadpool::blocking(|| job.take().unwrap()()));
    let values = foreign_runtime().block_on(task).unwrap();
    assert_eq!(read(&on_tokio_fs(dir.path()).unwrap()), values);
}

#[test]
fn it_closes_if_its_last_handle_is_dropped_with_a_runtime() {
    let dir = tempfile::tempdir().unwrap();
    let store = on_tokio_fs(dir.path()).unwrap();
    write(&store, 0);
    let values = read(&store);
    let runtime = foreign_runtime();
    let (begun, has_begun) = mpsc::channel();
    let (sender, go_on) = mpsc::channel::<()>();
    // This task keeps the only worker busy, so the next task is never polled.
    runtime.executor().spawn(future::lazy(move || {
        begun.send(()).unwrap();
        let _ = go_on.recv();
        Ok(())
    }));
    has_begun.recv().unwrap();
    runtime.executor().spawn(future::lazy(move || {
        drop(store);
        Ok(())
    }));
    let shutdown = runtime.shutdown_now();
    drop(sender);
    shutdown.wait().unwrap();
    assert_eq!(read(&on_tokio_fs(dir.path()).unwrap()), values);
}

#[test]
fn it_can_be_asked_for_more_threads_than_tokio_has() {
    let dir = tempfile::tempdir().unwrap();
    write(&TokioFsEngine::open(dir.path(), u32::MAX).unwrap(), 0);
}
