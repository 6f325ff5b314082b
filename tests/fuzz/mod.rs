//! What fuzzing runs with every input that it thinks of, and `tests/fuzz_corpus.rs` with those that
//! were worth keeping.
//!
//! To look for more, with a nightly compiler:
//!
//! ```sh
//! cargo install cargo-fuzz
//! cargo +nightly fuzz run segment     # or frame; until it is stopped, or one fails
//! cargo +nightly fuzz cmin segment    # keeps what adds to the coverage
//! ```
#![allow(
    dead_code,
    unused_imports,
    reason = "every fuzz target uses a part of this"
)]

#[path = "../common/disk/mod.rs"]
mod disk;
mod frame;
#[path = "../common/later.rs"]
mod later;
mod segment;

pub use self::frame::frame;
pub use self::segment::segment;
