//! The cost of a hop to a pool thread and back, beside the work that may be worth one, in
//! nanoseconds: `cargo bench --bench hop`.
//!
//! It measures one call after the other, and 64 pending calls. The figures are medians of 11
//! rounds.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, SeekFrom};
use std::os::unix::fs::FileExt;
use std::{env, path::Path, sync::Arc, time::Instant};

use futures::{Async, Future, Stream, stream, sync::oneshot, task};
use kvs::engine::EngineFuture;
use kvs::protocol::{self, Request, Response};
use kvs::thread_pool::{SharedQueueThreadPool as Pool, ThreadPool};
use kvs::{KvStore, KvsEngine};
use tokio::runtime::Runtime;

/// Measures `run`, whose parameters are the number of calls, and how many of them are pending at
/// once.
fn row(name: &str, run: impl Fn(usize, usize)) {
    // `cargo test` only checks that it runs.
    let is_bench = env::args().any(|arg| arg == "--bench");
    let (things, rounds) = if is_bench { (4096, 11) } else { (64, 1) };
    let each = |at_once| {
        let began = Instant::now();
        run(things, at_once);
        began.elapsed().as_nanos() as f64 / things as f64
    };
    let [alone, at_once] = [1, 64].map(|at_once| {
        let mut times: Vec<f64> = (0..rounds).map(|_| each(at_once)).collect();
        times.sort_by(f64::total_cmp);
        times[rounds / 2]
    });
    println!("{name:<30} {alone:>10.0} {at_once:>10.0}");
}

/// Measures futures that this thread starts and waits for.
fn futures<T>(name: &str, start: impl Fn() -> EngineFuture<T>) {
    row(name, |things, at_once| {
        let mut started: VecDeque<_> = (0..at_once).map(|_| start()).collect();
        for _ in at_once..things {
            started.pop_front().map(Future::wait).unwrap().unwrap();
            started.push_back(start());
        }
        started.into_iter().for_each(|last| drop(last.wait()));
    });
}

/// Decodes a request and encodes a reply, as a server does apart from calling the engine.
fn answer(frame: &[u8]) -> kvs::Result<Vec<u8>> {
    let Ok(Request::Set { value, .. }) = protocol::read_request(frame) else {
        panic!("the frame holds a set request");
    };
    let mut reply = Vec::new();
    protocol::write_frame(&Response::Get(Some(value)), &mut reply);
    Ok(reply)
}

fn main() {
    let (dir, pool) = (tempfile::tempdir().unwrap(), Pool::new(4).unwrap());
    println!("{:<30} {:>10} {:>10}", "ns for each", "alone", "64 at once");
    let store = KvStore::<Pool>::open(dir.path(), 1).unwrap();
    let set = store.set("key".to_owned(), "v".repeat(64));
    set.wait().unwrap();
    futures("get, inline", || store.get("key".to_owned()));
    futures("get, in a job", || {
        let store = store.clone();
        EngineFuture::spawn(&pool, move || store.get("key".to_owned()).wait())
    });
    for (content, unit) in [("plain", "abcdefgh"), ("escaped", "abcdefg\n")] {
        for len in [64, 1024, 4096, 16 * 1024, 64 * 1024] {
            let (key, value) = ("key".to_owned(), unit.repeat(len / 8));
            let frame = serde_json::to_vec(&Request::Set { key, value }).unwrap();
            let frame: Arc<[u8]> = frame.into();
            let name = |how| format!("{len} bytes, {content}, {how}");
            futures(&name("inline"), || EngineFuture::done(answer(&frame)));
            futures(&name("in a job"), || {
                let frame = Arc::clone(&frame);
                EngineFuture::spawn(&pool, move || answer(&frame))
            });
        }
    }
    blocks(&dir.path().join("blocks"), &pool);
}

/// Returns the offsets of `blocks` blocks. The stream yields to other tasks between two of them, as
/// a connection does between two requests.
fn offsets(blocks: u64) -> impl Stream<Item = u64, Error = io::Error> {
    let (mut n, mut is_our_turn) = (0, true);
    stream::poll_fn(move || {
        is_our_turn = !is_our_turn;
        if !is_our_turn {
            task::current().notify();
            return Ok(Async::NotReady);
        }
        n += 1;
        Ok(Async::Ready((n <= blocks).then_some(n % 16 * 4096)))
    })
}

/// Measures tasks that each read the number of blocks that `task` takes.
fn tasks<F: Future<Error = io::Error> + Send + 'static>(name: &str, task: impl Fn(u64) -> F) {
    let runtime = Runtime::new().unwrap();
    row(name, |things, at_once| {
        let blocks = (things / at_once) as u64;
        let spawn = |_| oneshot::spawn(task(blocks).map(drop), &runtime.executor());
        let spawned: Vec<_> = (0..at_once).map(spawn).collect();
        spawned.into_iter().for_each(|task| task.wait().unwrap());
    });
}

fn blocks(path: &Path, pool: &Pool) {
    fs::write(path, [0; 64 * 1024]).unwrap();
    let file = Arc::new(File::open(path).unwrap());
    tasks("block, in a job", |n| {
        let (file, pool) = (Arc::clone(&file), pool.clone());
        offsets(n).fold(vec![0; 4096], move |mut block, at| {
            let file = Arc::clone(&file);
            let read = move || Ok(file.read_exact_at(&mut block, at).map(|()| block));
            EngineFuture::spawn(&pool, read).then(Result::unwrap)
        })
    });
    // A file of `tokio_fs` has a cursor, so each task needs its own file.
    tasks("block, tokio-fs", |n| {
        let read = |(file, block), at| {
            let file = tokio_fs::File::seek(file, SeekFrom::Start(at));
            file.and_then(|(file, _)| tokio::io::read_exact(file, block))
        };
        let file = tokio_fs::File::open(path.to_owned());
        file.and_then(move |file| offsets(n).fold((file, vec![0; 4096]), read))
    });
}
