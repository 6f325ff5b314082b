//! Fuzzes the files of a store. `tests/fuzz/mod.rs` says how to run it.

#![no_main]

#[path = "../../tests/fuzz/mod.rs"]
mod fuzz;

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::segment(input));
