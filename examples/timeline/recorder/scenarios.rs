//! The programs that are recorded with each of the six clients.

use std::time::Duration;

use kvs::client::{Client, QUEUE};

use super::clients::Watched;
use super::log::Recording;
use super::run::{Peer, Run, record};

/// A program, for any client.
pub struct Program {
    /// The name of the file.
    pub name: &'static str,
    pub title: &'static str,
    pub says: &'static str,
}

pub const GET: Program = Program {
    name: "get",
    title: "One get",
    says: "The program makes a get, and gives it to the executor. The server has the value.",
};
pub const THREE: Program = Program {
    name: "three",
    title: "Three at once",
    says: "The program makes three gets, each in a task of its own. Nothing waits for a reply \
           before the next request is sent.",
};
pub const FULL: Program = Program {
    name: "full",
    title: "A queue that is full",
    says: "64 requests fill the queue between the requests and the connection. One more request \
           has to wait for room.",
};
pub const DROPPED: Program = Program {
    name: "dropped",
    title: "A request dropped in flight",
    says: "The program drops a request that is sent, and makes another one. The late reply is \
           discarded, and the second request gets its own reply.",
};
pub const LIMIT: Program = Program {
    name: "limit",
    title: "A time limit that strikes",
    says: "The program puts a time limit around a request. The limit is over before the reply \
           arrives.",
};
pub const SCAN: Program = Program {
    name: "scan",
    title: "A stream with a slow reader",
    says: "The store has three pairs, on two pages. The reader takes a pair only when the program \
           lets it. The script plays the server here, so that the pages are short.",
};

/// The programs of all six clients, in the order of the page.
pub const PROGRAMS: [&Program; 6] = [&GET, &THREE, &FULL, &DROPPED, &LIMIT, &SCAN];

/// Records a program of the list.
pub fn run<C: Watched + Client>(program: &Program) -> Recording {
    match program.name {
        "get" => record(Peer::Server, get::<C>),
        "three" => record(Peer::Server, three::<C>),
        "full" => record(Peer::Server, full::<C>),
        "dropped" => record(Peer::Server, dropped::<C>),
        "limit" => record(Peer::Server, limit::<C>),
        _ => record(Peer::Script, scan::<C>),
    }
}

pub fn get<C: Watched>(run: &mut Run, client: &mut C) {
    one_get(run, client);
    run.end("The request is complete after two polls and one wake-up.");
}

/// The steps of one request, up to its end.
pub fn one_get<C: Watched>(run: &mut Run, client: &mut C) {
    run.get(client, "request", "k");
    run.run();
    run.wire.pass_requests();
    run.wire.serve();
    run.wire.pass_replies(1);
    run.wait();
}

fn three<C: Watched>(run: &mut Run, client: &mut C) {
    for task in ["request 1", "request 2", "request 3"] {
        run.get(client, task, "k");
    }
    run.run();
    run.wire.pass_requests();
    run.say("One write of the connection has sent all three requests.");
    run.wire.serve();
    for _ in 0..3 {
        run.wire.pass_replies(1);
        run.wait();
    }
    run.end("Each request took two polls, and each reply woke one request.");
}

fn full<C: Watched + Client>(run: &mut Run, client: &mut C) {
    run.many(client, "64 others", QUEUE);
    run.get(client, "request", "k");
    run.run_one();
    run.say("The 64 requests have filled the queue, and wait for their replies.");
    run.run_one();
    run.say("The queue is full. It keeps the task, to wake it when there is room.");
    run.run();
    run.wire.pass_requests();
    run.say(
        "One write of the connection has sent the 64 requests, and the one that waited for room.",
    );
    run.wire.serve();
    run.wire.pass_replies(QUEUE + 1);
    run.wait();
    run.end("The request that had to wait for room took one poll and one wake-up more.");
}

fn dropped<C: Watched>(run: &mut Run, client: &mut C) {
    run.get(client, "request 1", "k");
    run.run();
    run.wire.pass_requests();
    run.wire.serve();
    run.drop_task("request 1");
    run.say("The program drops the first request. It is sent, and nothing takes it back.");
    run.get(client, "request 2", "missing");
    run.run();
    run.wire.pass_requests();
    run.wire.pass_replies(1);
    run.say("The reply to the first request arrives. Its future is gone.");
    run.wait();
    run.say("The connection has discarded the reply, and no task was woken.");
    run.wire.serve();
    run.wire.pass_replies(1);
    run.wait();
    run.end("The second request has its own reply: the connection is in step.");
}

fn limit<C: Watched>(run: &mut Run, client: &mut C) {
    const LIMIT: Duration = Duration::from_secs(1);
    let made = run.make(client, "request", "k");
    run.spawn_with_limit("request", made, LIMIT);
    run.run();
    run.wire.pass_requests();
    run.advance(LIMIT);
    run.wait();
    run.wire.serve();
    run.wire.pass_replies(1);
    run.say("The reply arrives too late. Its future was dropped with the time limit.");
    run.wait();
    run.say("The connection has discarded the reply, and no task was woken.");
    run.end("The request has failed for the program. The server has served it all the same.");
}

fn scan<C: Watched + Client>(run: &mut Run, client: &mut C) {
    let permits = run.scan(client, "reader");
    permits.give();
    run.run();
    run.wire.pass_requests();
    let first = r#"{"Scan":{"pairs":[["a","1"],["b","2"]],"cursor":"p2"}}"#;
    run.wire.answer(&[first]);
    run.wire.pass_replies(1);
    run.wait();
    run.say("The reader has the first pair. The second one is there, but the reader is slow.");
    permits.give();
    run.run();
    run.say("Nothing is sent, although the page is used up: the reader has not asked for more.");
    permits.give();
    run.run();
    run.wire.pass_requests();
    run.say("Only now does the client ask for the second page.");
    run.wire
        .answer(&[r#"{"Scan":{"pairs":[["c","3"]],"cursor":null}}"#]);
    run.wire.pass_replies(1);
    run.wait();
    permits.give();
    run.run();
    run.end("The stream has ended. The client asked for each page only when the reader needed it.");
}
