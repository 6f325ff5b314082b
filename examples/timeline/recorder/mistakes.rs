//! The programs that show the mistakes: those of `docs/by-hand.md`, and those of the harness.

use kvs::client::{Client, QUEUE};

use super::broken::{
    AnswersWithTheNeighboursReply, AsksAgain, AsksAhead, BusyLoops, ContinuesADroppedScan,
    EndsAtAnEmptyPage, LeaksASlot, LosesAWakeUp, SendsEagerly, Sound, SwallowsAClose,
};
use super::by_hand::{
    ByHand, LosesAnError, LosesItsState, PollsAFinishedFuture, StopsBetweenTwoStates, WaitsInPoll,
    WakesTheFirstTask, WorksOnAfterTheDrop,
};
use super::clients::Watched;
use super::log::Recording;
use super::run::{Peer, Permits, Run, record};
use super::scenarios::{self, Program};

/// A mistake, with the function that records it, and the client without it beside it.
pub struct Bug {
    pub program: Program,
    pub record: fn() -> Vec<Recording>,
}

macro_rules! bugs {
    ($($name:literal, $title:literal, $says:literal => $record:expr;)*) => {
        /// The mistakes, in the order of the page.
        pub const BUGS: &[Bug] = &[$(Bug {
            program: Program { name: $name, title: $title, says: $says },
            record: $record,
        }),*];
    };
}

bugs! {
    "stops-between", "Stopping between two states",
    "The future returns NotReady after its first state, although no inner future has done so."
        => || vec![record(Peer::Server, unheard::<ByHand<StopsBetweenTwoStates>>), sound()];
    "busy-loop", "Waking oneself",
    "The future wakes its own task whenever it is not ready."
        => || vec![record(Peer::Server, busy::<BusyLoops>), sound()];
    "state-lost", "Not putting the state back",
    "The future drops its second state when the reply is not there yet."
        => || vec![record(Peer::Server, unheard::<ByHand<LosesItsState>>), sound()];
    "polled-again", "Polling a finished future",
    "The future stays in its first state although the first half is done."
        => || vec![record(Peer::Server, polled_again::<ByHand<PollsAFinishedFuture>>), sound()];
    "eager", "Sending before the first poll",
    "The program makes a get and drops it without a poll."
        => || vec![
            record(Peer::Server, eager::<SendsEagerly>),
            record(Peer::Server, never_polled::<Sound>),
        ];
    "wrong-task", "Waking the wrong task",
    "The request is polled in one task, and moves to another one."
        => || vec![
            record(Peer::Server, ending(
                moved::<ByHand<WakesTheFirstTask>>,
                "The first task was woken. The second one has the request, and sleeps for ever.",
            )),
            record(Peer::Server, ending(
                moved::<Sound>,
                "The last task to poll was woken, and the request is complete.",
            )),
        ];
    "waits-in-poll", "Waiting in poll",
    "The future waits for its reply inside poll. The connection is a task of the same thread."
        => || vec![waiting(), sound()];
    "lost-error", "Losing an error",
    "The request is too long to be sent, and the future drops that error."
        => || vec![
            record(Peer::Server, ending(
                too_long::<ByHand<LosesAnError>>,
                "The error reports a connection that broke. The connection has not broken.",
            )),
            record(Peer::Server, ending(
                too_long::<Sound>,
                "The error says why the request has failed.",
            )),
        ];
    "after-drop", "Working on after the drop",
    "The program drops a get before its first poll."
        => || vec![
            record(Peer::Server, sent_after_the_drop::<WorksOnAfterTheDrop>),
            record(Peer::Server, never_polled::<Sound>),
        ];
    "lost-wake-up", "A wake-up that gets lost",
    "The future polls its inner future in a task that cannot be woken."
        => || vec![record(Peer::Server, unheard::<LosesAWakeUp>), sound()];
    "swallowed-close", "An end that is ignored",
    "The server closes the connection while a request waits for its reply."
        => || vec![
            record(Peer::Server, ending(
                closed::<SwallowsAClose>,
                "The connection is gone. No reply and no wake-up can come any more.",
            )),
            record(Peer::Server, ending(
                closed::<Sound>,
                "The request has failed, and the error says why.",
            )),
        ];
    "leaked-place", "A place that is never given back",
    "A request is dropped while it waits for room in the queue."
        => || vec![
            record(Peer::Server, ending(
                place::<LeaksASlot>,
                "The dropped request has a place in the queue, and nothing gives it back.",
            )),
            record(Peer::Server, ending(
                place::<Sound>,
                "The drop has taken the request out of the line. Nothing wakes its task.",
            )),
        ];
    "neighbours-reply", "The reply of the neighbour",
    "The program makes two gets, of a key with a value and of a key without one."
        => || vec![
            record(Peer::Server, ending(
                two_keys::<AnswersWithTheNeighboursReply>,
                "The second request has the value of the first key. Its own key has no value.",
            )),
            record(Peer::Server, ending(
                two_keys::<Sound>,
                "Both requests are complete. The key of the second one has no value.",
            )),
        ];
    "asks-ahead", "A stream that asks ahead",
    "The reader takes one pair of the first page."
        => || vec![
            record(Peer::Script, ahead::<AsksAhead>),
            record(Peer::Script, one_pair::<Sound>),
        ];
    "ends-early", "A stream that ends early",
    "The first page of a scan has no pairs, and is not the last one."
        => || vec![
            record(Peer::Script, ends_early::<EndsAtAnEmptyPage>),
            record(Peer::Script, empty_page::<Sound>),
        ];
    "asks-again", "A stream that continues after an error",
    "The server replies to a scan with an error."
        => || vec![
            record(Peer::Script, asks_again::<AsksAgain>),
            record(Peer::Script, failed_scan::<Sound>),
        ];
    "old-scan", "A stream that continues an old one",
    "The program drops a scan after its first pair, and begins another one."
        => || vec![
            record(Peer::Script, old_scan::<ContinuesADroppedScan>),
            record(Peer::Script, new_scan::<Sound>),
        ];
}

/// Returns a script that ends `steps` with a sentence, or with another one for other clients.
fn ending<C: Watched>(
    steps: fn(&mut Run, &mut C),
    sentence: &'static str,
) -> impl FnOnce(&mut Run, &mut C) + Send + 'static {
    move |run, client| {
        steps(run, client);
        run.end(sentence);
    }
}

/// The client without a mistake.
fn sound() -> Recording {
    record(Peer::Server, scenarios::get::<Sound>)
}

fn unheard<C: Watched>(run: &mut Run, client: &mut C) {
    scenarios::one_get(run, client);
    run.end("The reply is there, and nothing wakes the request. It is never polled again.");
}

fn polled_again<C: Watched>(run: &mut Run, client: &mut C) {
    scenarios::one_get(run, client);
    run.end("The reply is there. The second poll has polled the finished first half, and panics.");
}

fn busy<C: Watched>(run: &mut Run, client: &mut C) {
    run.get(client, "request", "k");
    for _ in 0..4 {
        run.run_one();
    }
    run.wire.pass_requests();
    run.wire.serve();
    run.wire.pass_replies(1);
    run.wait_for_connection();
    run.run();
    run.end("The request is complete. Until the reply came, the thread polled without rest.");
}

fn eager<C: Watched>(run: &mut Run, client: &mut C) {
    let made = run.make(client, "request", "k");
    run.say("The call of get polls the request itself, which wakes the connection.");
    run.drop_made("request", made);
    run.say("The program drops the request. No executor has polled it.");
    run.run();
    run.wire.pass_requests();
    run.end("The request has left the client, although no executor has polled it.");
}

fn never_polled<C: Watched>(run: &mut Run, client: &mut C) {
    let made = run.make(client, "request", "k");
    run.drop_made("request", made);
    run.say("The program drops the request. It was never polled.");
    run.run();
    run.end("Nothing was sent.");
}

fn sent_after_the_drop<C: Watched>(run: &mut Run, client: &mut C) {
    let made = run.make(client, "request", "k");
    run.drop_made("request", made);
    run.say("The program drops the request. Its drop gives the rest of it to a new thread.");
    run.wait_for_wake();
    run.run();
    run.wire.pass_requests();
    run.end("The request has left the client, although it was dropped before its first poll.");
}

fn moved<C: Watched>(run: &mut Run, client: &mut C) {
    run.get(client, "task 1", "k");
    run.say("The program makes the request, in a first task. It does nothing yet.");
    run.run();
    run.move_task("task 1", "task 2");
    run.say("The program moves the request to a second task.");
    run.run();
    run.wire.pass_requests();
    run.wire.serve();
    run.wire.pass_replies(1);
    run.wait();
}

/// Records the client whose poll does not return. Its thread stays behind.
fn waiting() -> Recording {
    record(
        Peer::Server,
        |run: &mut Run, client: &mut ByHand<WaitsInPoll>| {
            run.get(client, "request", "k");
            run.run_one_that_hangs(
            "connection",
            "The poll does not return: the thread waits for a reply to a request that only this \
             thread could send.",
        );
        },
    )
}

fn too_long<C: Watched>(run: &mut Run, client: &mut C) {
    let key = "k".repeat(kvs::protocol::MAX_FRAME_LEN);
    run.get(client, "request", &key);
    run.run();
}

fn closed<C: Watched>(run: &mut Run, client: &mut C) {
    run.get(client, "request", "k");
    run.run();
    run.wire.pass_requests();
    run.wire.close();
    run.wait();
}

fn place<C: Watched + Client>(run: &mut Run, client: &mut C) {
    run.many(client, "64 others", QUEUE);
    run.get(client, "request", "k");
    run.run_one();
    run.say("The 64 requests have filled the queue, and wait for their replies.");
    run.run_one();
    run.say("The queue is full. It keeps the task, to wake it when there is room.");
    run.drop_task("request");
    run.run();
    run.wire.pass_requests();
}

fn two_keys<C: Watched>(run: &mut Run, client: &mut C) {
    run.get(client, "request 1", "k");
    run.get(client, "request 2", "missing");
    run.run();
    run.wire.pass_requests();
    run.wire.serve();
    run.wire.pass_replies(2);
    run.wait();
}

const FIRST: &str = r#"{"Scan":{"pairs":[["a","1"],["b","2"]],"cursor":"p2"}}"#;
const LAST: &str = r#"{"Scan":{"pairs":[["c","3"]],"cursor":null}}"#;
const EMPTY: &str = r#"{"Scan":{"pairs":[],"cursor":"p2"}}"#;
const ERROR: &str = r#"{"Err":{"code":"engine","message":"the disk is gone"}}"#;

fn first_page<C: Client>(run: &mut Run, client: &mut C, reader: &str, reply: &str) -> Permits {
    let permits = run.scan(client, reader);
    permits.give();
    run.run();
    run.wire.pass_requests();
    run.wire.answer(&[reply]);
    run.wire.pass_replies(1);
    run.wait();
    permits
}

fn ahead<C: Watched + Client>(run: &mut Run, client: &mut C) {
    first_page(run, client, "reader", FIRST);
    run.wire.pass_requests();
    run.end("The client asks for the second page, although the reader may never need it.");
}

fn one_pair<C: Watched + Client>(run: &mut Run, client: &mut C) {
    first_page(run, client, "reader", FIRST);
    run.end("Nothing more is sent until the reader needs the second page.");
}

fn ends_early<C: Watched + Client>(run: &mut Run, client: &mut C) {
    first_page(run, client, "reader", EMPTY);
    run.end("The stream has ended, and the pair of the second page is missing.");
}

fn empty_page<C: Watched + Client>(run: &mut Run, client: &mut C) {
    first_page(run, client, "reader", EMPTY);
    run.wire.pass_requests();
    run.wire.answer(&[LAST]);
    run.wire.pass_replies(1);
    run.wait();
    run.end("The client has asked for the second page, and the reader has its pair.");
}

fn asks_again<C: Watched + Client>(run: &mut Run, client: &mut C) {
    let permits = first_page(run, client, "reader", ERROR);
    permits.give();
    run.run();
    run.wire.pass_requests();
    run.end("The client asks for the same page again, and could do so without end.");
}

fn failed_scan<C: Watched + Client>(run: &mut Run, client: &mut C) {
    let permits = first_page(run, client, "reader", ERROR);
    permits.give();
    run.run();
    run.end("The stream has ended after the error.");
}

fn old_scan<C: Watched + Client>(run: &mut Run, client: &mut C) {
    first_page(run, client, "reader 1", FIRST);
    run.drop_task("reader 1");
    let permits = run.scan(client, "reader 2");
    permits.give();
    run.run();
    run.end("The first pair of the new scan is the second one of the old scan.");
}

fn new_scan<C: Watched + Client>(run: &mut Run, client: &mut C) {
    first_page(run, client, "reader 1", FIRST);
    run.drop_task("reader 1");
    first_page(run, client, "reader 2", FIRST);
    run.end("The new scan begins with the first page.");
}
