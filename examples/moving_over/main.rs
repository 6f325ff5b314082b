//! One small program on its way from futures 0.1 to async and await, in steps that each compile and
//! do the same. Beside a `kvs-server`: `cargo run --features anon,awaited --example moving_over`.
//!
//! 1. [`step_1`]: a chain on tokio 0.1
//! 2. [`step_2`]: an `async fn` in place of the chain
//! 3. [`step_3`]: tokio 1 in place of tokio 0.1
//! 4. [`step_4`]: a client with futures of the standard library
//!
//! `diff examples/moving_over/step_1.rs examples/moving_over/step_2.rs` shows the first move, and so
//! on. After any of them one can stop for a while.

mod step_1;
mod step_2;
mod step_3;
mod step_4;

use std::net::SocketAddr;

use kvs::Result;

/// Each stores three numbers, reads them back and adds them up.
pub(crate) const STEPS: [fn(SocketAddr) -> Result<u64>; 4] =
    [step_1::run, step_2::run, step_3::run, step_4::run];

fn main() -> Result<()> {
    let addr = ([127, 0, 0, 1], 4000).into();
    for (number, run) in (1..).zip(STEPS) {
        println!("step {number}: the sum is {}", run(addr)?);
    }
    Ok(())
}
