//! A recursive loop of futures needs memory for each step, and `loop_fn` does not.
#![cfg(feature = "boxed")]

mod common;

#[allow(dead_code, reason = "the tests call functions that `main` calls")]
#[path = "../examples/loops.rs"]
mod loops;

use std::cell::RefCell;
use std::env;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::serve;
use futures::future::{self, Loop};
use futures::{Async, Future, Poll};
use loops::{
    Cost, LARGE_STACK, LOOP_FN, Pairs, RECURSION, USUAL_STACK, Way, address_in_stack, measure,
};

type Done = Box<dyn Future<Item = (), Error = ()>>;

/// A list that is too long for a recursion on the usual stack.
const TOO_LONG: usize = 20_000;

/// Names the way that the process of [`overflows`] takes.
const VARIABLE: &str = "KVS_TEST_LOOP";

#[test]
fn only_the_recursion_grows_with_the_list() {
    let (_dir, server) = serve();
    let cost = |way, keys| measure(server.addr, way, keys, LARGE_STACK).unwrap();
    let [short, middle, long] = [100, 200, 300].map(|keys| cost(RECURSION, keys));
    let grown = |from: Cost, to: Cost| (to.heap - from.heap, to.stack - from.stack);
    let (heap, stack) = grown(short, middle);
    assert!(heap > 100 * 50 && stack > 100 * 100, "{heap} {stack}");
    // In proportion: as many pairs need as much again.
    assert_eq!(grown(middle, long), (heap, stack));

    let [short, long] = [100, 300].map(|keys| cost(LOOP_FN, keys));
    assert_eq!(grown(short, long), (0, 0));
}

/// A future that is ready at once, and notes how deep in the stack it is dropped.
struct Innermost(Arc<AtomicUsize>);

impl Future for Innermost {
    type Item = ();
    type Error = ();

    fn poll(&mut self) -> Poll<(), ()> {
        Ok(Async::Ready(()))
    }
}

impl Drop for Innermost {
    fn drop(&mut self) {
        self.0.fetch_min(address_in_stack(), Ordering::Relaxed);
    }
}

fn recursion_over_ready_futures(mut pairs: Pairs) -> Done {
    match pairs.next() {
        None => Box::new(Innermost(pairs.deepest())),
        Some(_) => {
            let ready = future::ok(());
            Box::new(ready.and_then(|()| recursion_over_ready_futures(pairs)))
        }
    }
}

fn loop_fn_over_ready_futures(pairs: Pairs) -> Done {
    Box::new(future::loop_fn(pairs, |mut pairs| {
        future::ok(match pairs.next() {
            None => Loop::Break(()),
            Some(_) => Loop::Continue(pairs),
        })
    }))
}

#[test]
fn ready_futures_nest_within_one_poll_and_in_the_drop() {
    let depths = |way: fn(Pairs) -> Done, keys| {
        let pairs = Pairs::new(keys);
        let deepest = pairs.deepest();
        let mut all = way(pairs);
        let start = address_in_stack();
        assert_eq!(all.poll(), Ok(Async::Ready(())));
        let polled = start - deepest.swap(start, Ordering::Relaxed);
        drop(all);
        (polled, start - deepest.load(Ordering::Relaxed))
    };
    let [short, middle, long] = [100, 200, 300].map(|keys| {
        let loop_fn = depths(loop_fn_over_ready_futures, keys);
        assert_eq!(loop_fn, depths(loop_fn_over_ready_futures, 1));
        depths(recursion_over_ready_futures, keys)
    });
    let grown = |from: (usize, usize), to: (usize, usize)| (to.0 - from.0, to.1 - from.1);
    let (polled, dropped) = grown(short, middle);
    assert!(polled > 0 && dropped > 0, "{polled} {dropped}");
    assert_eq!(grown(middle, long), (polled, dropped));
}

#[test]
fn loop_fn_calls_its_closure_at_the_call_and_then_replaces_the_future() {
    let log = RefCell::new(Vec::new());
    let mut all = future::loop_fn(1, |n| {
        let log = Log(&log);
        log.note("call");
        future::poll_fn(move || {
            log.note("poll");
            let next = if n < 2 {
                Loop::Continue(n + 1)
            } else {
                Loop::Break(())
            };
            Ok::<_, ()>(Async::Ready(next))
        })
    });
    assert_eq!(log.take(), ["call"]);
    assert_eq!(all.poll(), Ok(Async::Ready(())));
    assert_eq!(log.take(), ["poll", "call", "drop", "poll"]);
}

/// Notes events, its own drop among them.
struct Log<'a>(&'a RefCell<Vec<&'static str>>);

impl Log<'_> {
    fn note(&self, event: &'static str) {
        self.0.borrow_mut().push(event);
    }
}

impl Drop for Log<'_> {
    fn drop(&mut self) {
        self.note("drop");
    }
}

/// Runs this test again in a process of its own, which stores the list on the usual stack.
fn overflows(name: &str) -> bool {
    let mut test = Command::new(env::current_exe().unwrap());
    test.args(["--exact", "only_the_recursion_overflows_the_usual_stack"]);
    let output = test.env(VARIABLE, name).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    let is_overflow = stderr.contains("has overflowed its stack");
    assert!(is_overflow || output.status.success(), "{stderr}");
    is_overflow
}

#[test]
fn only_the_recursion_overflows_the_usual_stack() {
    let store = |way: Way| {
        let (_dir, server) = serve();
        measure(server.addr, way, TOO_LONG, USUAL_STACK).unwrap();
    };
    match env::var(VARIABLE).as_deref() {
        Ok("recursion") => store(RECURSION),
        Ok(_) => store(LOOP_FN),
        Err(_) => {
            assert!(overflows("recursion"));
            assert!(!overflows("loop_fn"));
        }
    }
}
