//! A program on tokio 0.1 with an `async fn` in the middle of its chain. So new code can use
//! `await` before the old code has moved.
//!
//! Start a `kvs-server`, and then: `cargo run --features anon --example await_in_a_chain`.

use std::net::SocketAddr;

use futures::Future;
use futures03::compat::Future01CompatExt;
use futures03::{FutureExt, TryFutureExt};
use kvs::client::anon::KvsClient;
use kvs::{KvsError, Result};
use tokio::runtime::Runtime;

fn main() -> Result<()> {
    let mut runtime = Runtime::new().map_err(KvsError::io("start the runtime"))?;
    let addr = ([127, 0, 0, 1], 4000).into();
    let number = runtime.block_on(take_note(addr, "remember the milk"))?;
    println!("stored as note {number}");
    Ok(())
}

/// Stores a note under the first free number, and resolves to that number.
pub(crate) fn take_note(
    addr: SocketAddr,
    text: &str,
) -> impl Future<Item = u32, Error = KvsError> + Send + use<> {
    let text = text.to_owned();
    KvsClient::connect(addr)
        // A chain moves its parts, but the future of an `async fn` must not move after its first
        // poll. So it goes into a box, and `compat` converts the box into a future of futures 0.1.
        .and_then(|client| first_free(client.clone()).boxed().compat().join(Ok(client)))
        .and_then(|(number, mut client)| client.set(key(number), text).map(move |()| number))
}

/// Returns the first number without a note. With combinators, this would be a `loop_fn`.
async fn first_free(mut client: KvsClient) -> Result<u32> {
    let mut number = 1;
    while client.get(key(number)).compat().await?.is_some() {
        number += 1;
    }
    Ok(number)
}

fn key(number: u32) -> String {
    format!("note {number}")
}
