//! The helpers that the tests of the exercises share.
//!
//! - [`within_time`] gives a test a time limit.
//! - [`serve`] starts a server of kvs, with an empty store, in the process of the test.
//! - [`Task`] polls a future by hand, and counts the wake-ups of its task.
//! - [`StdTask`] polls std futures by hand, and counts the wake-ups of its task, too.
//! - [`harness`] has the tests that every client of kvs has to pass.

pub mod common;
/// The tests of the clients. The files are those that test the clients of kvs.
#[path = "../../../tests/harness/mod.rs"]
pub mod harness;
mod std_task;

use std::panic::{self, AssertUnwindSafe};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

pub use self::common::{TestServer, serve};
pub use self::harness::{Task, Wakes};
pub use self::std_task::StdTask;

/// Runs a test on a thread of its own, and fails if it takes longer than ten seconds.
///
/// # Panics
///
/// Panics if the test panics, with the same message, or if it takes too long.
pub fn within_time(test: impl FnOnce() + Send + 'static) {
    let (sender, done) = mpsc::channel();
    let thread = thread::spawn(move || {
        let result = panic::catch_unwind(AssertUnwindSafe(test));
        let _ = sender.send(());
        if let Err(panic) = result {
            panic::resume_unwind(panic);
        }
    });
    if done.recv_timeout(Duration::from_secs(10)) == Err(RecvTimeoutError::Timeout) {
        panic!(
            "this takes too long: does a future wait without a wake-up, or does a loop not end?"
        );
    }
    if let Err(panic) = thread.join() {
        panic::resume_unwind(panic);
    }
}
