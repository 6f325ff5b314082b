//! The tests behind the table of old and new in `docs/leaving-futures-0.1.md`: futures 0.1 and
//! tokio 0.1 beside futures 0.3 and tokio 1.
//!
//! Each row of the table is a test in `old` and a test of the same name in `new`, and shows code of
//! both. `tests/docs/` compares the page with the tests.

mod new;
mod old;
