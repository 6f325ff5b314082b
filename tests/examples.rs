//! The programs in `examples/` about async, await and time limits print the expected output.
#![cfg(all(feature = "anon", feature = "awaited", feature = "pinned"))]

mod common;

#[allow(dead_code, reason = "the tests call what `main` calls")]
#[path = "../examples/await_in_a_chain.rs"]
mod await_in_a_chain;
#[allow(dead_code, reason = "the tests call what `main` calls")]
#[path = "../examples/await_on_tokio1.rs"]
mod await_on_tokio1;
#[allow(dead_code, reason = "the tests call what `main` calls")]
#[path = "../examples/moving_over/main.rs"]
mod moving_over;
#[allow(dead_code, reason = "the tests call what `main` calls")]
#[path = "../examples/time_limits.rs"]
mod time_limits;

use common::serve;
use kvs::client::blocking::KvsClient;

#[test]
fn the_program_on_tokio_1_gets_the_values_that_it_has_set() {
    let (_dir, server) = serve();
    let runtime = tokio1::runtime::Runtime::new().unwrap();
    let values = runtime.block_on(await_on_tokio1::run(server.addr)).unwrap();
    assert_eq!(values, ["set through compat", "set as it is"]);
}

#[test]
fn the_chain_on_tokio_0_1_awaits_the_first_number_that_is_free() {
    let (_dir, server) = serve();
    let mut runtime = tokio::runtime::Runtime::new().unwrap();
    for (text, number) in ["milk", "bread", "salt"].into_iter().zip(1..) {
        let note = await_in_a_chain::take_note(server.addr, text);
        assert_eq!(runtime.block_on(note).unwrap(), number);
    }
    let mut client = KvsClient::connect(server.addr).unwrap();
    let second = client.get("note 2".to_owned()).unwrap();
    assert_eq!(second.as_deref(), Some("bread"));
}

#[test]
fn every_step_of_the_move_does_the_same() {
    for run in moving_over::STEPS {
        let (_dir, server) = serve();
        assert_eq!(run(server.addr).unwrap(), 6);
        let mut client = KvsClient::connect(server.addr).unwrap();
        for (key, value) in [("one", "1"), ("two", "2"), ("three", "3")] {
            assert_eq!(client.get(key.to_owned()).unwrap().as_deref(), Some(value));
        }
    }
}

#[test]
fn a_set_takes_effect_after_its_time_limit() {
    let (_dir, server) = serve();
    let expected = [
        "tokio 0.1: set: no reply to the set within 50ms",
        r#"tokio 0.1: get: "stored on tokio 0.1", so the set took effect after its limit"#,
        "tokio 1: set: no reply to the set within 50ms",
        r#"tokio 1: get: "stored on tokio 1", so the set took effect after its limit"#,
    ];
    assert_eq!(time_limits::run(server.addr).unwrap(), expected);
}
