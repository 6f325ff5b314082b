//! A recursive loop of futures needs memory for each step, and `loop_fn` does not.
#![cfg(feature = "boxed")]

mod common;

#[allow(dead_code, reason = "the tests call functions that `main` calls")]
#[path = "../examples/loops.rs"]
mod loops;

use std::env;
use std::process::Command;

use common::serve;
use loops::{Cost, LARGE_STACK, LOOP_FN, RECURSION, USUAL_STACK, Way, measure};

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
