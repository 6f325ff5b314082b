//! A small program that moves from futures 0.1 to async and await, in steps that each compile and
//! do the same.
//!
//! Start a `kvs-server`, and then: `cargo run --features anon,awaited --example moving_over`.
//!
//! 1. [`step_1`]: a chain on tokio 0.1
//! 2. [`step_2`]: an `async fn` replaces the chain
//! 3. [`step_3`]: tokio 1 replaces tokio 0.1
//! 4. [`step_4`]: a client with futures of the standard library
//!
//! `diff examples/moving_over/step_1.rs examples/moving_over/step_2.rs` shows the first move. A
//! program can stay at any step for a while.

mod step_1;
mod step_2;
mod step_3;
mod step_4;

use std::net::SocketAddr;

use kvs::Result;

/// The programs of the steps. Each stores three numbers, reads them back and returns their sum.
pub(crate) const STEPS: [fn(SocketAddr) -> Result<u64>; 4] =
    [step_1::run, step_2::run, step_3::run, step_4::run];

fn main() -> Result<()> {
    let addr = ([127, 0, 0, 1], 4000).into();
    for (number, run) in (1..).zip(STEPS) {
        println!("step {number}: the sum is {}", run(addr)?);
    }
    Ok(())
}
