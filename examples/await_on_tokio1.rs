//! A program on tokio 1 that uses three of the clients.
//!
//! Start a `kvs-server`, and then:
//! `cargo run --features anon,pinned,awaited --example await_on_tokio1`.
//!
//! kvs itself depends on tokio 0.1 and futures 0.1, so its manifest calls the newer versions
//! `tokio1` and `futures03`. Your program does not need other names for them:
//! `docs/leaving-futures-0.1.md` lists its dependencies.

use std::net::SocketAddr;

use futures03::compat::Future01CompatExt;
use kvs::Result;
use kvs::client::{anon, awaited, pinned};

#[tokio1::main(crate = "tokio1")]
async fn main() -> Result<()> {
    for value in run(([127, 0, 0, 1], 4000).into()).await? {
        println!("{value}");
    }
    Ok(())
}

/// Stores a value with each of two clients, and gets both with a third client.
pub(crate) async fn run(addr: SocketAddr) -> Result<Vec<String>> {
    // `compat` converts a future of futures 0.1 into one that can be awaited.
    let mut client = anon::KvsClient::connect(addr).compat().await?;
    let set = client.set("anon".to_owned(), "set through compat".to_owned());
    set.compat().await?;

    // These are std futures. They borrow nothing, so many can be pending at once.
    let mut client = pinned::KvsClient::connect(addr).await?;
    let set = client.set("pinned".to_owned(), "set as it is".to_owned());
    set.await?;

    // These borrow their handle, so each task gets a clone of it. All clones share one connection.
    let client = awaited::KvsClient::connect(addr).await?;
    let gets = ["anon", "pinned"].map(|key| {
        let mut client = client.clone();
        tokio1::spawn(async move { client.get(key.to_owned()).await })
    });
    let mut values = Vec::new();
    for get in gets {
        let value = get.await.expect("the task does not panic")?;
        values.extend(value);
    }
    Ok(values)
}
