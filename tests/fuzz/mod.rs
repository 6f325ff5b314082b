//! The functions that `cargo fuzz` calls with its inputs. `tests/fuzz_corpus.rs` calls them with
//! the inputs in `fuzz/corpus`.
//!
//! To find more inputs, with a nightly compiler:
//!
//! ```sh
//! cargo install cargo-fuzz
//! cargo +nightly fuzz run segment     # or frame; runs until you stop it, or until an input fails
//! cargo +nightly fuzz cmin segment    # keeps the inputs that add to the coverage
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
