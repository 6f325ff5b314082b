//! Step 4: a client with std futures. No `compat` and no futures 0.1 are left in this file.
//!
//! The futures borrow the handle, so each of the futures that are pending at once has its own
//! clone.

use std::net::SocketAddr;

use futures03::future::try_join_all;
use kvs::client::awaited::KvsClient;
use kvs::{KvsError, Result};
use tokio1::runtime::Runtime;

const KEYS: [&str; 3] = ["one", "two", "three"];

pub(crate) fn run(addr: SocketAddr) -> Result<u64> {
    let runtime = Runtime::new().map_err(KvsError::io("start the runtime"))?;
    runtime.block_on(sum(addr))
}

async fn sum(addr: SocketAddr) -> Result<u64> {
    let client = KvsClient::connect(addr).await?;
    let mut clients = [(); 3].map(|()| client.clone());
    let sets = clients.iter_mut().enumerate();
    let sets = sets.map(|(n, client)| client.set(KEYS[n].to_owned(), (n + 1).to_string()));
    try_join_all(sets).await?;
    let gets = clients.iter_mut().zip(KEYS);
    let gets = gets.map(|(client, key)| client.get(key.to_owned()));
    Ok(add_up(try_join_all(gets).await?))
}

fn add_up(values: Vec<Option<String>>) -> u64 {
    let numbers = values
        .iter()
        .flatten()
        .flat_map(|value| value.parse::<u64>());
    numbers.sum()
}
