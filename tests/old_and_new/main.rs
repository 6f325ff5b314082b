//! The table of `docs/leaving-futures-0.1.md`: what is written in futures 0.1 and tokio 0.1, and what
//! in futures 0.3 and tokio 1.
//!
//! A row of the table is a test in `old.rs` and one of the same name in `new.rs`, and shows code out
//! of both. `tests/docs/` compares.

mod new;
mod old;
