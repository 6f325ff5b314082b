//! Step 1: a chain of futures 0.1 on the runtime of tokio 0.1.

use std::net::SocketAddr;

use futures::Future;
use futures::future::join_all;
use kvs::client::anon::KvsClient;
use kvs::{KvsError, Result};
use tokio::runtime::Runtime;

const KEYS: [&str; 3] = ["one", "two", "three"];

pub(crate) fn run(addr: SocketAddr) -> Result<u64> {
    let mut runtime = Runtime::new().map_err(KvsError::io("start the runtime"))?;
    runtime.block_on(sum(addr))
}

fn sum(addr: SocketAddr) -> impl Future<Item = u64, Error = KvsError> {
    KvsClient::connect(addr).and_then(|mut client| {
        let sets = [0, 1, 2].map(|n| client.set(KEYS[n].to_owned(), (n + 1).to_string()));
        join_all(sets).and_then(move |_| {
            let gets = KEYS.map(|key| client.get(key.to_owned()));
            join_all(gets).map(add_up)
        })
    })
}

fn add_up(values: Vec<Option<String>>) -> u64 {
    let numbers = values
        .iter()
        .flatten()
        .flat_map(|value| value.parse::<u64>());
    numbers.sum()
}
