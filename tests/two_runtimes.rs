//! Futures of one runtime on a thread of another: the table in `docs/leaving-futures-0.1.md`.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use futures::Stream;
use futures03::compat::Future01CompatExt;
use futures03::executor::block_on;
use futures03::{FutureExt, TryFutureExt};

/// The message of a panic or an error, or `None` for success.
type Outcome = Option<String>;

/// Polls a future on a thread of tokio 0.1, on one of tokio 1, and on a thread without a runtime.
fn everywhere<F: Future<Output = Result<(), String>> + 'static>(
    job: impl Fn() -> F,
) -> [Outcome; 3] {
    let outcome = |run: &dyn Fn() -> Result<(), String>| match catch_unwind(AssertUnwindSafe(run)) {
        Ok(result) => result.err(),
        Err(panic) => Some(match panic.downcast::<String>() {
            Ok(message) => format!("panic: {message}"),
            Err(panic) => format!("panic: {}", panic.downcast::<&str>().unwrap()),
        }),
    };
    [
        outcome(&|| {
            let mut old = tokio::runtime::current_thread::Runtime::new().unwrap();
            old.block_on(async { job().await }.boxed_local().compat())
        }),
        outcome(&|| {
            let new = tokio1::runtime::Runtime::new().unwrap();
            new.block_on(async { job().await })
        }),
        outcome(&|| block_on(async { job().await })),
    ]
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

const WORKS: Outcome = None;

fn fails(message: &str) -> Outcome {
    Some(message.to_owned())
}

const NO_REACTOR: &str = "panic: there is no reactor running, must be called from the context of a \
                          Tokio 1.x runtime";
const NO_EXECUTOR: &str =
    "panic: called `Result::unwrap()` on an `Err` value: SpawnError { is_shutdown: true }";

#[test]
fn timers_of_0_1_fail_elsewhere() {
    let delay = || {
        let delay = tokio::timer::Delay::new(Instant::now());
        delay.compat().map_err(text)
    };
    let interval = || {
        let interval = tokio::timer::Interval::new(Instant::now(), Duration::from_secs(1));
        let first = interval.into_future().compat();
        first.map_ok(drop).map_err(|(error, _rest)| text(error))
    };
    let timeout = || {
        let forever = futures::future::empty::<(), ()>();
        let timeout = tokio::timer::Timeout::new(forever, Duration::from_millis(1));
        let elapsed = |error: tokio::timer::timeout::Error<()>| match error.into_timer() {
            Some(error) => Err(text(error)),
            None => Ok(()),
        };
        timeout
            .compat()
            .or_else(move |error| async move { elapsed(error) })
    };
    let shutdown = fails("timer is shutdown");
    let expected = [WORKS, shutdown.clone(), shutdown];
    assert_eq!(everywhere(delay), expected);
    assert_eq!(everywhere(interval), expected);
    assert_eq!(everywhere(timeout), expected);
}

#[test]
fn sockets_of_0_1_work() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let connect = || {
        let connecting = tokio::net::TcpStream::connect(&addr).compat();
        connecting.map_ok(drop).map_err(text)
    };
    assert_eq!(everywhere(connect), [WORKS, WORKS, WORKS]);
}

#[test]
fn spawn_of_0_1_panics_elsewhere() {
    let spawn = || async {
        tokio::spawn(futures::future::ok(()));
        Ok(())
    };
    let panic = fails(NO_EXECUTOR);
    assert_eq!(everywhere(spawn), [WORKS, panic.clone(), panic]);
}

/// The runtime of one thread is not enough, either.
#[test]
fn files_of_0_1_need_the_runtime_of_many_threads() {
    let read = || {
        tokio_fs::read("Cargo.toml")
            .compat()
            .map_ok(drop)
            .map_err(text)
    };
    let error = "`blocking` annotated I/O must be called from the context of the Tokio runtime.";
    assert_eq!(everywhere(read), [(); 3].map(|()| fails(error)));

    let mut old = tokio::runtime::Runtime::new().unwrap();
    assert!(old.block_on(tokio_fs::read("Cargo.toml")).is_ok());
}

#[test]
fn all_of_tokio_1_panics_elsewhere() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let sleep = || async {
        tokio1::time::sleep(Duration::from_millis(1)).await;
        Ok(())
    };
    let connect = || {
        tokio1::net::TcpStream::connect(addr)
            .map_ok(drop)
            .map_err(text)
    };
    let spawn = || async { tokio1::spawn(async {}).await.map_err(text) };
    let read = || tokio1::fs::read("Cargo.toml").map_ok(drop).map_err(text);
    let panic = fails(NO_REACTOR);
    let expected = [panic.clone(), WORKS, panic];
    assert_eq!(everywhere(sleep), expected);
    assert_eq!(everywhere(connect), expected);
    assert_eq!(everywhere(spawn), expected);
    assert_eq!(everywhere(read), expected);
}

#[test]
fn channels_work() {
    let old = || {
        let (sender, receiver) = futures::sync::oneshot::channel();
        std::thread::spawn(|| sender.send(()));
        receiver.compat().map_err(text)
    };
    let newer = || {
        let (sender, receiver) = futures03::channel::oneshot::channel();
        std::thread::spawn(|| sender.send(()));
        receiver.map_err(text)
    };
    let of_tokio = || async {
        let (sender, mut receiver) = tokio1::sync::mpsc::channel(1);
        std::thread::spawn(move || sender.blocking_send(()));
        receiver.recv().await.ok_or("closed".to_owned())
    };
    assert_eq!(everywhere(old), [WORKS, WORKS, WORKS]);
    assert_eq!(everywhere(newer), [WORKS, WORKS, WORKS]);
    assert_eq!(everywhere(of_tokio), [WORKS, WORKS, WORKS]);
}
