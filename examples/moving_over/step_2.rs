//! Step 2: an `async fn` replaces the chain. Nested closures become one line after the other.
//!
//! The runtime is still tokio 0.1. It takes futures of 0.1 only, so `compat` converts the `async
//! fn`.

use std::net::SocketAddr;

use futures::future::join_all;
use futures03::compat::Future01CompatExt;
use futures03::{FutureExt, TryFutureExt};
use kvs::client::anon::KvsClient;
use kvs::{KvsError, Result};
use tokio::runtime::Runtime;

const KEYS: [&str; 3] = ["one", "two", "three"];

pub(crate) fn run(addr: SocketAddr) -> Result<u64> {
    let mut runtime = Runtime::new().map_err(KvsError::io("start the runtime"))?;
    runtime.block_on(sum(addr).boxed().compat())
}

async fn sum(addr: SocketAddr) -> Result<u64> {
    let mut client = KvsClient::connect(addr).compat().await?;
    let sets = [0, 1, 2].map(|n| client.set(KEYS[n].to_owned(), (n + 1).to_string()));
    join_all(sets).compat().await?;
    let gets = KEYS.map(|key| client.get(key.to_owned()));
    Ok(add_up(join_all(gets).compat().await?))
}

fn add_up(values: Vec<Option<String>>) -> u64 {
    let numbers = values
        .iter()
        .flatten()
        .flat_map(|value| value.parse::<u64>());
    numbers.sum()
}
