//! Pools and engines while the system has no more threads for a moment. Each call answers or fails,
//! and once there are threads again, everything works.
//!
//! The limit (`RLIMIT_NPROC`) counts the threads of a user, and root has none. So each test starts
//! itself again in a process of its own, as another user if it is root.

use std::env;
use std::fs;
use std::io::ErrorKind::{InvalidInput, PermissionDenied};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{self, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use futures::{Future, future};
use kvs::engine::{EngineFuture, SyncLevel};
use kvs::thread_pool::{
    BlockingThreadPool, NaiveThreadPool, RayonThreadPool, SharedQueueThreadPool, ThreadPool,
};
use kvs::{KvStore, KvsEngine, KvsError, Result, SledKvsEngine, TokioFsEngine};
use rlimit::Resource;

/// The environment variable that is set in the process with the limit.
const LIMITED: &str = "KVS_TEST_LIMITED";

const TIME: Duration = Duration::from_secs(60);

macro_rules! tests {
    ($($name:ident: $test:expr;)*) => {
        $(#[test]
        fn $name() {
            as_ordinary_user(stringify!($name), $test);
        })*
    };
}

tests! {
    a_naive_pool_runs_its_jobs_without_threads: pool::<NaiveThreadPool>;
    a_shared_queue_that_cannot_start_is_an_error: pool::<SharedQueueThreadPool>;
    a_pool_of_rayon_that_cannot_start_is_an_error: pool::<RayonThreadPool>;
    a_blocking_pool_that_cannot_start_is_an_error: pool::<BlockingThreadPool>;
    kvs_works_again_when_there_are_threads_again:
        || engine(|dir| KvStore::<SharedQueueThreadPool>::open(dir, 4));
    kvs_on_rayon_works_again_when_there_are_threads_again:
        || engine(|dir| KvStore::<RayonThreadPool>::open(dir, 4));
    kvs_on_naive_threads_works_again_when_there_are_threads_again:
        || engine(|dir| KvStore::<NaiveThreadPool>::open(dir, 4));
    tokio_fs_works_again_when_there_are_threads_again:
        || engine(|dir| TokioFsEngine::open(dir, 4));
    sled_works_again_when_there_are_threads_again:
        || engine(|dir| SledKvsEngine::<SharedQueueThreadPool>::open(dir, SyncLevel::EverySec, 4));
    sled_on_naive_threads_works_again_when_there_are_threads_again:
        || engine(|dir| SledKvsEngine::<NaiveThreadPool>::open(dir, SyncLevel::Always, 4));
    a_sled_database_of_the_caller_works_again_when_there_are_threads_again:
        || {
            let config = sled::Config::new().temporary(true).flush_every_ms(None);
            let db = config.open().unwrap();
            engine(|_| SledKvsEngine::<SharedQueueThreadPool>::new(db.clone(), 4));
        };
}

/// Runs `test` in a process whose threads can be limited. If that is impossible, prints why.
fn as_ordinary_user(name: &str, test: fn()) {
    if env::var_os(LIMITED).is_some() {
        return test();
    }
    // The other user may not be able to reach the program where it is.
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("test");
    // Not with `fs::copy`: a process that another test starts meanwhile would inherit the open
    // file, and the system runs no program that is open for writing.
    let copied = Command::new("cp")
        .arg(env::current_exe().unwrap())
        .arg(&program)
        .status();
    assert!(copied.unwrap().success());
    for path in [dir.path(), &program] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
    }
    let mut command = Command::new(program);
    command.args(["--exact", name, "--nocapture", "--test-threads=1"]);
    command
        .env(LIMITED, "")
        .env("TMPDIR", dir.path())
        .current_dir(dir.path());
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    if is_root {
        static USERS: AtomicU32 = AtomicU32::new(0);
        let n = USERS.fetch_add(1, Ordering::Relaxed) + 20 * process::id();
        let user = 30_000 + n % 30_000;
        command.uid(user).gid(user);
    }
    let output = assert_cmd::Command::from_std(command)
        .timeout(TIME)
        .output();
    let output = match output {
        Err(error) if matches!(error.kind(), InvalidInput | PermissionDenied) => {
            println!("skipped: cannot run a program as another user: {error}");
            return;
        }
        output => output.unwrap(),
    };
    let [stdout, stderr] = [&output.stdout, &output.stderr].map(|out| String::from_utf8_lossy(out));
    println!("{stdout}{stderr}");
    assert!(output.status.success(), "{}", output.status);
    assert!(!stderr.contains("panicked"));
}

/// Sets the limit on the threads of the user, and returns whether it keeps a thread from starting.
fn limit_threads(most: Option<u64>) -> bool {
    let (_, hard) = Resource::NPROC.get().unwrap();
    Resource::NPROC.set(most.unwrap_or(hard), hard).unwrap();
    let started = thread::Builder::new().spawn(|| ());
    started.map(|thread| thread.join().unwrap()).is_err()
}

/// Allows no more threads. If that is impossible, prints that the test is skipped.
fn no_threads() -> bool {
    let limited = limit_threads(Some(1));
    if !limited {
        println!("skipped: the number of threads of this user cannot be limited");
    }
    limited
}

fn threads() -> usize {
    fs::read_dir("/proc/self/task").unwrap().count()
}

/// Allows one more thread after each failure of `start`, until it succeeds. Checks that a failure
/// leaves no thread behind.
fn start_with_few_threads<T>(start: impl Fn() -> Result<T>) -> T {
    let before = threads();
    for most in 1.. {
        limit_threads(Some(most));
        match start() {
            Ok(started) => {
                println!("started with a limit of {most}");
                limit_threads(None);
                return started;
            }
            Err(KvsError::Io { .. }) => {}
            Err(error) => panic!("{error}"),
        }
        let since = Instant::now();
        while threads() > before {
            assert!(since.elapsed() < TIME, "{} threads are left", threads());
            thread::yield_now();
        }
    }
    unreachable!("a limit of all numbers");
}

/// Runs `jobs` jobs, and waits for all of them.
fn run_jobs(pool: &impl ThreadPool, jobs: usize) {
    let (sender, results) = mpsc::channel();
    for job in 0..jobs {
        let sender = sender.clone();
        pool.spawn(move || sender.send(job).unwrap());
    }
    for _ in 0..jobs {
        results.recv_timeout(TIME).expect("all jobs run");
    }
}

fn pool<P: ThreadPool>() {
    let (new, used) = (P::new(4).unwrap(), P::new(4).unwrap());
    run_jobs(&used, 10);
    if !no_threads() {
        return;
    }
    run_jobs(&new, 10);
    run_jobs(&used, 10);
    let started = start_with_few_threads(|| P::new(4));
    for pool in [new, used, started] {
        run_jobs(&pool, 10);
    }
}

fn set(store: &impl KvsEngine, n: usize) -> EngineFuture<()> {
    store.set(format!("key{n}"), format!("{n}").repeat(1000))
}

fn engine<E: KvsEngine>(open: impl Fn(&Path) -> Result<E>) {
    let dir = tempfile::tempdir().unwrap();
    if !no_threads() {
        return;
    }
    let store = start_with_few_threads(|| open(dir.path()));
    limit_threads(Some(1));
    let sets = future::join_all((0..100).map(|n| set(&store, n)).collect::<Vec<_>>());
    sets.wait().unwrap();
    limit_threads(None);
    for n in 100..200 {
        set(&store, n).wait().unwrap();
    }
    drop(store);
    let store = open(dir.path()).unwrap();
    for n in 0..200 {
        let value = store.get(format!("key{n}")).wait().unwrap();
        assert_eq!(value, Some(format!("{n}").repeat(1000)));
    }
}
