//! Step 3: tokio 1 replaces tokio 0.1. It takes the `async fn` without a conversion.
//!
//! The client's futures are still of 0.1. A thread of the library, with its own runtime, drives the
//! connection.

use std::net::SocketAddr;

use futures::future::join_all;
use futures03::compat::Future01CompatExt;
use kvs::client::anon::KvsClient;
use kvs::{KvsError, Result};
use tokio1::runtime::Runtime;

const KEYS: [&str; 3] = ["one", "two", "three"];

pub(crate) fn run(addr: SocketAddr) -> Result<u64> {
    let runtime = Runtime::new().map_err(KvsError::io("start the runtime"))?;
    runtime.block_on(sum(addr))
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
