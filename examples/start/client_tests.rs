//! The tests of the course, with the client in `client.rs`:
//!
//! ```sh
//! cargo test --test NAME a_value_that_was_set_is_there  # one of them: a good beginning
//! cargo test --test NAME                                # all of them
//! ```

mod client;
#[path = "../common/mod.rs"]
mod common;
#[path = "../harness/mod.rs"]
mod harness;

use std::convert::identity;

use client::KvsClient;

kvs::impl_client!(KvsClient, identity);

mod tests {
    crate::harness::one_at_a_time!(crate::KvsClient);
    crate::harness::many_at_once!(crate::KvsClient);
    // For `scan`, which `docs/streams.md` is about.
    crate::harness::scans!(crate::KvsClient);
}
