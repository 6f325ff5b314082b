//! The generic tests, run with each client that is compiled in: `cargo test --features boxed` runs
//! them as `boxed::…`. Without a feature, or with all of them, they also run with the blocking
//! client.

mod common;
mod harness;

#[cfg(feature = "anon")]
mod anon {
    crate::harness::one_at_a_time!(kvs::client::anon::KvsClient);
    crate::harness::many_at_once!(kvs::client::anon::KvsClient);
    crate::harness::scans!(kvs::client::anon::KvsClient);
}

#[cfg(feature = "awaited")]
mod awaited {
    crate::harness::one_at_a_time!(kvs::client::awaited::KvsClient);
    crate::harness::many_at_once!(kvs::client::awaited::KvsClient);
    crate::harness::scans!(kvs::client::awaited::KvsClient);
}

#[cfg(feature = "boxed")]
mod boxed {
    crate::harness::one_at_a_time!(kvs::client::boxed::KvsClient);
    crate::harness::many_at_once!(kvs::client::boxed::KvsClient);
    crate::harness::scans!(kvs::client::boxed::KvsClient);
}

#[cfg(feature = "explicit")]
mod explicit {
    crate::harness::one_at_a_time!(kvs::client::explicit::KvsClient);
    crate::harness::many_at_once!(kvs::client::explicit::KvsClient);
    crate::harness::scans!(kvs::client::explicit::KvsClient);
}

#[cfg(feature = "manual")]
mod manual {
    crate::harness::one_at_a_time!(kvs::client::manual::KvsClient);
    crate::harness::many_at_once!(kvs::client::manual::KvsClient);
    crate::harness::scans!(kvs::client::manual::KvsClient);
}

#[cfg(feature = "pinned")]
mod pinned {
    crate::harness::one_at_a_time!(kvs::client::pinned::KvsClient);
    crate::harness::many_at_once!(kvs::client::pinned::KvsClient);
    crate::harness::scans!(kvs::client::pinned::KvsClient);
}

#[cfg(any(
    not(any(
        feature = "anon",
        feature = "awaited",
        feature = "boxed",
        feature = "explicit",
        feature = "manual",
        feature = "pinned"
    )),
    all(
        feature = "anon",
        feature = "awaited",
        feature = "boxed",
        feature = "explicit",
        feature = "manual",
        feature = "pinned"
    ),
))]
mod blocking {
    crate::harness::one_at_a_time!(crate::harness::blocking::Blocking);
}

/// Tests of the harness: each of these clients has a mistake of its own, and the harness finds it.
mod the_harness_catches {
    use crate::harness::broken::*;
    use crate::harness::cancellation::*;
    use crate::harness::poll::*;
    use crate::harness::real::*;
    use crate::harness::scan::*;
    use crate::harness::scripted::*;
    use crate::harness::{catches, impatiently};

    #[test]
    fn a_client_that_sends_eagerly() {
        let reason = "the first to arrive";
        catches(
            reason,
            a_future_that_is_never_polled_sends_nothing::<SendsEagerly>,
        );
        catches(
            reason,
            a_future_dropped_before_its_first_poll_sends_nothing::<SendsEagerly>,
        );
    }

    #[test]
    fn a_client_that_connects_eagerly() {
        catches(
            "a stranger connected",
            a_connection_that_is_never_polled_is_not_made::<SendsEagerly>,
        );
    }

    #[test]
    fn a_client_that_loses_a_wake_up() {
        impatiently(|| {
            catches(
                "no wake-up came",
                not_ready_always_leaves_a_wake_up_behind::<LosesAWakeUp>,
            );
        });
    }

    #[test]
    fn a_client_that_answers_with_the_neighbours_reply() {
        let reason = "`left == right` failed";
        catches(
            reason,
            a_thousand_futures_can_be_under_way_at_once::<AnswersWithTheNeighboursReply>,
        );
    }

    #[test]
    fn a_client_that_busy_loops() {
        let reason = "has nothing to do";
        catches(
            reason,
            nothing_is_polled_while_there_is_nothing_to_do::<BusyLoops>,
        );
    }

    #[test]
    fn a_client_that_swallows_a_closed_connection() {
        impatiently(|| {
            let reason = "no wake-up came";
            catches(
                reason,
                a_close_at_any_byte_of_a_reply_is_an_error::<SwallowsAClose>,
            );
            catches(
                reason,
                a_close_without_a_pending_request_fails_the_next_request::<SwallowsAClose>,
            );
        });
    }

    #[test]
    fn a_client_that_leaks_a_slot_on_cancel() {
        impatiently(|| {
            let test = futures_dropped_while_they_wait_for_room_give_up_their_place::<LeaksASlot>;
            catches("no wake-up came", test);
            catches(
                "WouldBlock",
                the_socket_closes_with_the_last_handle::<LeaksASlot>,
            );
        });
    }

    #[test]
    fn a_scan_that_sends_eagerly() {
        catches(
            "the next to arrive",
            a_scan_that_is_never_polled_sends_nothing::<SendsEagerly>,
        );
    }

    #[test]
    fn a_scan_that_asks_for_a_page_ahead() {
        catches(
            "the next to arrive",
            a_scan_asks_for_a_page_after_the_last_pair_of_the_page_before::<AsksAhead>,
        );
    }

    #[test]
    fn a_scan_that_takes_an_empty_page_for_the_end() {
        catches(
            "the pairs after empty pages",
            an_empty_page_is_not_the_end_of_a_scan::<EndsAtAnEmptyPage>,
        );
    }

    #[test]
    fn a_scan_that_continues_after_an_error() {
        catches(
            "after its error, a scan returned",
            an_error_ends_a_scan_and_the_connection_goes_on::<AsksAgain>,
        );
    }

    #[test]
    fn a_scan_that_another_one_continues() {
        catches(
            "the request of the scan",
            a_scan_dropped_in_the_middle_leaves_the_connection_in_step::<ContinuesADroppedScan>,
        );
    }

    #[test]
    fn a_scan_that_loses_a_wake_up() {
        impatiently(|| {
            catches(
                "no wake-up came",
                a_scan_that_is_not_ready_always_leaves_a_wake_up_behind::<LosesAWakeUp>,
            );
        });
    }

    #[test]
    fn nothing_in_a_client_that_is_not_broken() {
        a_future_that_is_never_polled_sends_nothing::<Sound>();
        a_future_dropped_before_its_first_poll_sends_nothing::<Sound>();
        a_connection_that_is_never_polled_is_not_made::<Sound>();
        a_thousand_futures_can_be_under_way_at_once::<Sound>();
        nothing_is_polled_while_there_is_nothing_to_do::<Sound>();
        not_ready_always_leaves_a_wake_up_behind::<Sound>();
        a_close_at_any_byte_of_a_reply_is_an_error::<Sound>();
        a_close_without_a_pending_request_fails_the_next_request::<Sound>();
        futures_dropped_while_they_wait_for_room_give_up_their_place::<Sound>();
        the_socket_closes_with_the_last_handle::<Sound>();
        a_scan_that_is_never_polled_sends_nothing::<Sound>();
        a_scan_asks_for_a_page_after_the_last_pair_of_the_page_before::<Sound>();
        an_empty_page_is_not_the_end_of_a_scan::<Sound>();
        an_error_ends_a_scan_and_the_connection_goes_on::<Sound>();
        a_scan_dropped_in_the_middle_leaves_the_connection_in_step::<Sound>();
        a_scan_that_is_not_ready_always_leaves_a_wake_up_behind::<Sound>();
    }
}
