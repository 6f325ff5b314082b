//! The helpers that the tests of the exercises share.
//!
//! - [`within_time`] gives a test a time limit.
//! - [`serve`] starts a server of kvs, with an empty store, in the process of the test.
//! - [`Task`] polls a future by hand, and counts the wake-ups of its task.
//! - [`busy_time`] tells a thread that sleeps from one that spins.
//! - [`Requests`] is a server in the test, which answers when the test says so.
//! - [`StdTask`] polls std futures by hand, and counts the wake-ups of its task, too.
//! - [`harness`] has the tests that every client of kvs has to pass.

pub mod common;
/// The tests of the clients. The files are those that test the clients of kvs.
#[path = "../../../tests/harness/mod.rs"]
pub mod harness;
mod requests;
mod std_task;

use std::env;
use std::panic;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

pub use self::common::{TestServer, serve};
pub use self::harness::{Task, Wakes};
pub use self::requests::{Request, Requests, refused};
pub use self::std_task::StdTask;

/// Runs a test on a thread of its own, and fails if it takes longer than ten seconds. A [`Task`] in
/// it waits for a wake-up for at most three seconds. On a machine that is very busy, the variable
/// `EXERCISE_SLOWNESS` multiplies both.
///
/// # Panics
///
/// Panics if the test panics, with the same message, or if it takes too long.
#[track_caller]
pub fn within_time(test: impl FnOnce() + Send + 'static) {
    let slowness =
        env::var("EXERCISE_SLOWNESS").map_or(1, |slowness| slowness.parse().expect("a number"));
    let (sender, done) = mpsc::channel::<()>();
    let thread = thread::spawn(move || {
        let _dropped_at_the_end = sender; // also if the test panics
        harness::with_patience(slowness * Duration::from_secs(3), test);
    });
    if done.recv_timeout(slowness * Duration::from_secs(10)) == Err(RecvTimeoutError::Timeout) {
        panic!(
            "this takes too long: does a future wait without a wake-up, does a `wait` block the \
             thread that reads the replies, or does a loop not end?"
        );
    }
    if let Err(panic) = thread.join() {
        panic::resume_unwind(panic);
    }
}

/// Returns for how long this thread has kept a processor busy. The time does not pass while the
/// thread sleeps, even if the machine is busy.
pub fn busy_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).expect("the time is not negative")
}

/// Runs the tests of the harness that are about requests and not about scans, one after the other,
/// in place of `tests!`: `support::many_at_once!(KvsClient, requests_in_order)`.
///
/// It stops at the first failure. So a client that is not finished fails soon, and shows one thing
/// to mend at a time.
#[macro_export]
macro_rules! requests_in_order {
    ($client:ty, $($file:ident $tests:tt)*) => {
        $($crate::requests_in_order!(@ $client, $file $tests);)*
    };
    (@ $client:ty, scan $tests:tt) => {};
    (@ $client:ty, $file:ident { $($test:ident),* $(,)? }) => {
        $($crate::run(stringify!($test), $crate::harness::$file::$test::<$client>);)*
    };
}

/// Runs the tests of the harness that are about scans, as [`requests_in_order`] does.
#[macro_export]
macro_rules! scans_in_order {
    ($client:ty, $($file:ident $tests:tt)*) => {
        $($crate::scans_in_order!(@ $client, $file $tests);)*
    };
    (@ $client:ty, scan { $($test:ident),* $(,)? }) => {
        $($crate::run(stringify!($test), $crate::harness::scan::$test::<$client>);)*
    };
    (@ $client:ty, $file:ident $tests:tt) => {};
}

/// Runs one test of the harness within ten seconds.
///
/// # Panics
///
/// Panics if the test panics, with the same message, or if it takes too long.
pub fn run(name: &str, test: fn()) {
    println!("{name} ...");
    within_time(test);
}
