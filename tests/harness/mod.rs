//! Tests that run with every client: each is a generic function over [`Client`].
//!
//! - [`real`]: against the real server
//! - [`scripted`]: against a server whose bytes the test writes
//! - [`cancellation`]: futures that are dropped, or never polled at all
//! - [`scan`]: the laws of a stream, with scans
//! - [`time_limits`]: futures with a time limit
//! - [`poll`]: the contract of `poll`, with futures polled by hand
//! - [`broken`]: clients that each have one mistake, to show that the tests find it
//!
//! Every wait ends after [`patience`], so that a test fails instead of hanging.
//!
//! The exercises use the harness, too, in a crate of their own: `exercises/support`.

#![allow(
    dead_code,
    unused_macros,
    unused_imports,
    reason = "the features decide which tests are used"
)]

pub mod blocking;
pub mod broken;
pub mod cancellation;
mod pages;
pub mod poll;
pub mod real;
pub mod scan;
pub mod scripted;
pub mod time_limits;

use std::cell::Cell;
use std::net::{SocketAddr, TcpListener};
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use futures::executor::{self, Notify, Spawn};
use futures::{Async, Future, Poll};
use kvs::KvsError;
pub use kvs::client::Client;

use crate::common::{ANY_PORT, Wire};

/// Instantiates the tests for any client. They have one request pending at a time.
///
/// The macro [`tests!`] makes one test of each. The exercises name another macro.
#[macro_export]
macro_rules! one_at_a_time {
    ($client:ty) => {
        $crate::one_at_a_time!($client, tests);
    };
    ($client:ty, $run:ident) => {
        $crate::$run!($client, real {
            a_value_that_was_set_is_there,
            a_missing_key_has_no_value,
            a_value_can_be_overwritten,
            a_removed_key_does_not_exist,
            removing_a_missing_key_is_key_not_found,
            unicode_and_empty_keys_and_values_come_back,
            megabyte_values_come_back,
            several_clients_can_work_at_once,
            clones_can_be_used_from_many_threads,
            a_restart_of_the_server_fails_the_old_client_and_serves_a_new_one,
            an_error_of_the_engine_keeps_its_code_and_the_connection_continues,
            a_request_longer_than_a_frame_is_refused_and_the_connection_continues,
            the_right_token_lets_a_client_in_and_no_other,
        } scripted {
            requests_are_the_documented_bytes,
            a_reply_may_arrive_one_byte_at_a_time,
            a_close_at_any_byte_of_a_reply_is_an_error,
            a_close_without_a_pending_request_fails_the_next_request,
            a_reply_that_is_not_json_is_an_error,
            a_reply_of_the_wrong_kind_is_an_error,
            a_reply_over_the_limit_is_an_error,
            a_reply_without_a_request_is_an_error,
            the_last_error_of_the_server_is_the_cause,
            an_unknown_code_keeps_code_and_message_and_the_connection_continues,
            a_refused_connection_is_an_error_with_the_address,
            a_reset_connection_is_an_error,
            a_silent_server_is_asked_whether_it_is_still_there,
        } cancellation {
            a_future_that_is_never_polled_sends_nothing,
            a_connection_that_is_never_polled_is_not_made,
            a_connection_given_up_while_it_is_made_is_closed,
            the_socket_closes_with_the_last_handle,
        });
    };
}
pub use one_at_a_time;

/// Instantiates the tests for a client that can scan. They poll one scan or future at a time.
#[macro_export]
macro_rules! scans {
    ($client:ty) => {
        $crate::scans!($client, tests);
    };
    ($client:ty, $run:ident) => {
        $crate::$run!(
            $client,
            scan {
                scan_returns_every_pair_once,
                scan_of_a_prefix_returns_the_pairs_whose_keys_begin_with_it,
                scan_returns_pairs_that_fill_a_page_alone,
                a_client_can_read_and_write_during_its_scan,
                a_scan_sends_the_documented_bytes,
                a_scan_that_is_never_polled_sends_nothing,
                a_scan_asks_for_a_page_after_the_last_pair_of_the_page_before,
                an_empty_page_is_not_the_end_of_a_scan,
                a_scan_ends_once,
                an_error_ends_a_scan_and_the_connection_goes_on,
                a_broken_connection_ends_a_scan,
                a_page_without_values_is_an_error,
                a_scan_outlives_its_handle_and_then_the_socket_closes,
            }
        );
    };
}
pub use scans;

/// Instantiates the tests for a client that can have many requests pending.
#[macro_export]
macro_rules! many_at_once {
    ($client:ty) => {
        $crate::many_at_once!($client, tests);
    };
    ($client:ty, $run:ident) => {
        $crate::$run!($client, real {
            a_thousand_futures_can_be_under_way_at_once,
            requests_take_effect_in_the_order_in_which_they_were_sent,
            it_works_on_a_runtime_of_many_threads,
            it_works_on_a_runtime_of_one_thread,
            it_works_on_several_threads_without_a_runtime,
            a_thread_that_went_without_a_runtime_can_have_one_later,
            a_runtime_that_shuts_down_fails_pending_requests,
            the_cause_of_a_broken_connection_outlives_its_runtime,
        } scripted {
            requests_that_wait_together_are_sent_together,
            many_replies_may_arrive_at_once,
            a_broken_connection_fails_every_outstanding_and_every_later_future,
            a_server_that_does_not_answer_is_sent_no_more_than_the_bound,
            large_requests_and_replies_cross_each_other,
        } cancellation {
            a_future_dropped_before_its_first_poll_sends_nothing,
            a_future_dropped_in_flight_leaves_the_connection_in_step,
            a_future_dropped_half_written_leaves_its_frame_whole,
            a_future_dropped_with_its_reply_leaves_the_connection_in_step,
            futures_dropped_while_they_wait_for_room_give_up_their_place,
            a_future_outlives_its_handle_and_then_the_socket_closes,
            the_socket_closes_although_all_places_are_taken,
            the_queue_takes_no_more_than_its_bound,
        } scan {
            scan_works_on_a_runtime_of_many_threads,
            scans_and_other_requests_can_be_pending_at_once,
            a_scan_dropped_in_the_middle_leaves_the_connection_in_step,
            a_scan_that_is_not_ready_always_leaves_a_wake_up_behind,
            a_scan_may_move_between_threads_between_polls,
        } time_limits {
            a_timed_out_request_may_still_take_effect,
            after_a_time_limit_the_connection_is_in_step,
            a_connect_has_a_time_limit_too,
        } poll {
            not_ready_always_leaves_a_wake_up_behind,
            a_wake_up_that_changes_nothing_is_harmless,
            nothing_is_polled_while_there_is_nothing_to_do,
            one_request_needs_few_polls,
            a_future_may_move_between_threads_between_polls,
            a_future_that_is_done_does_not_go_on,
            the_task_of_a_connection_sleeps_while_there_is_nothing_to_do,
        });
    };
}
pub use many_at_once;

/// Instantiates generic tests, each of them in a file of the harness.
#[macro_export]
macro_rules! tests {
    ($client:ty, $($file:ident { $($test:ident),* $(,)? })*) => {
        $($(#[test]
        fn $test() {
            $crate::harness::$file::$test::<$client>();
        })*)*
    };
}
pub use tests;

thread_local! {
    static PATIENCE: Cell<Duration> = const { Cell::new(Duration::from_secs(30)) };
}

/// Returns how long a test on this thread waits before it fails.
pub fn patience() -> Duration {
    PATIENCE.get()
}

/// Checks that a test fails with a message that contains `reason`.
pub fn catches(reason: &str, test: impl FnOnce()) {
    let result = panic::catch_unwind(AssertUnwindSafe(test));
    let panic = result.expect_err("the test passes although the client is broken");
    let message = match panic.downcast_ref::<&str>() {
        Some(message) => message,
        None => panic.downcast_ref::<String>().unwrap().as_str(),
    };
    assert!(
        message.contains(reason),
        "the test failed for another reason: {message}"
    );
}

/// Runs a test with a short [`patience`], because it may wait for an event that never happens.
pub fn impatiently(test: impl FnOnce()) {
    with_patience(Duration::from_secs(1), test);
}

/// Runs a test with this [`patience`].
pub fn with_patience(patience: Duration, test: impl FnOnce()) {
    let before = PATIENCE.replace(patience);
    let result = panic::catch_unwind(AssertUnwindSafe(test));
    PATIENCE.set(before);
    if let Err(panic) = result {
        panic::resume_unwind(panic);
    }
}

/// Counts the wake-ups of a task, and lets a test wait for one.
#[derive(Default)]
pub struct Wakes {
    count: Mutex<usize>,
    woken: Condvar,
}

impl Notify for Wakes {
    fn notify(&self, _: usize) {
        *self.count.lock().unwrap() += 1;
        self.woken.notify_all();
    }
}

/// A future on its own task, which the test polls by hand.
pub struct Task<F: Future> {
    future: Spawn<F>,
    wakes: Arc<Wakes>,
    /// The number of wake-ups that [`wait_for_wake`](Task::wait_for_wake) has seen.
    seen: usize,
}

impl<F: Future> Task<F> {
    pub fn new(future: F) -> Task<F> {
        Task {
            future: executor::spawn(future),
            wakes: Arc::default(),
            seen: 0,
        }
    }

    pub fn poll(&mut self) -> Poll<F::Item, F::Error> {
        self.future.poll_future_notify(&self.wakes, 0)
    }

    /// Polls the future and checks that it is not ready.
    #[track_caller]
    pub fn expect_not_ready(&mut self)
    where
        F::Error: std::fmt::Debug,
    {
        match self.poll() {
            Ok(Async::NotReady) => {}
            Ok(Async::Ready(_)) => panic!("the future is ready too early"),
            Err(error) => panic!("the future failed: {error:?}"),
        }
    }

    /// Returns how often the task was woken.
    pub fn wakes(&self) -> usize {
        *self.wakes.count.lock().unwrap()
    }

    /// Waits for a wake-up since the last call.
    #[track_caller]
    pub fn wait_for_wake(&mut self) {
        let count = self.wakes.count.lock().unwrap();
        let is_seen = |count: &mut usize| *count == self.seen;
        let woken = self
            .wakes
            .woken
            .wait_timeout_while(count, patience(), is_seen);
        // No lock is held below: a panic would poison it, and a later wake-up would panic, too.
        let (count, timeout) = woken.map(|(count, timeout)| (*count, timeout)).unwrap();
        assert!(
            !timeout.timed_out(),
            "no wake-up came for a future that is not ready"
        );
        self.seen = count;
    }

    /// Polls the future whenever its task is woken, until it completes.
    #[track_caller]
    pub fn finish(mut self) -> Result<F::Item, F::Error> {
        let deadline = Instant::now() + patience();
        loop {
            match self.poll()? {
                Async::Ready(item) => return Ok(item),
                Async::NotReady => self.wait_for_wake(),
            }
            assert!(
                Instant::now() < deadline,
                "a future is polled again and again and does not complete"
            );
        }
    }
}

/// Waits for a future on this thread, as [`Future::wait`] does, but fails after [`patience`].
pub fn wait<F: Future>(future: F) -> Result<F::Item, F::Error> {
    Task::new(future).finish()
}

pub fn connect<C: Client>(addr: SocketAddr) -> C {
    wait(C::connect(addr)).unwrap()
}

const GET_K: &str = r#"{"Get":{"key":"k"}}"#;

fn get_k<C: Client>(
    client: &mut C,
) -> impl Future<Item = Option<String>, Error = KvsError> + use<C> {
    client.get("k".to_owned())
}

/// A server that runs a test's closure on one connection.
pub struct Script {
    pub addr: SocketAddr,
    thread: Option<JoinHandle<()>>,
}

impl Script {
    /// Accepts one connection and runs `script` on it.
    pub fn start(script: impl FnOnce(Wire) + Send + 'static) -> Script {
        let listener = TcpListener::bind(ANY_PORT).unwrap();
        let addr = listener.local_addr().unwrap();
        let patience = patience();
        let run = move || {
            let (socket, _) = listener.accept().unwrap();
            drop(listener);
            script(Wire::new(socket, patience));
        };
        Script {
            addr,
            thread: Some(thread::spawn(run)),
        }
    }

    /// Waits for the end of the script, and panics if the script has panicked.
    pub fn finish(mut self) {
        if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join) {
            panic::resume_unwind(panic);
        }
    }
}
