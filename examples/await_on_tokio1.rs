//! A program on tokio 1 that uses the client in three ways. Beside a `kvs-server`:
//! `cargo run --features anon,pinned,awaited --example await_on_tokio1`.
//!
//! kvs itself depends on tokio 0.1 and futures 0.1, so here the newer ones are called `tokio1` and
//! `futures03`. A program of yours has no older ones; `docs/leaving-futures-0.1.md` has its dependencies.

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

/// Stores two values with a client each, and gets them back with a third.
pub(crate) async fn run(addr: SocketAddr) -> Result<Vec<String>> {
    // A future of futures 0.1 becomes one that can be awaited.
    let mut client = anon::KvsClient::connect(addr).compat().await?;
    let set = client.set("anon".to_owned(), "set through compat".to_owned());
    set.compat().await?;

    // These are std futures. They borrow nothing, so the next can be made before this one is done.
    let mut client = pinned::KvsClient::connect(addr).await?;
    let set = client.set("pinned".to_owned(), "set as it is".to_owned());
    set.await?;

    // These borrow their handle, so each task gets a clone of it. All share one connection.
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
