//! Fails: E0277

use futures::Future;
use futures::future::{AndThen, MapErr};
use kvs::KvsError;
use kvs::client::manual::{ClientGetFuture, KvsClient};

fn main() {}

type Price = AndThen<
    MapErr<ClientGetFuture, fn(KvsError) -> String>,
    u32,
    fn(Option<String>) -> Result<u32, String>,
>;

fn explain(error: KvsError) -> String {
    error.to_string()
}

fn parse(text: Option<String>) -> Result<u32, String> {
    let text = text.ok_or("there is no price")?;
    text.parse().map_err(|_| format!("{text} is no price"))
}

/// Resolves to the price of `item`.
fn price(client: &mut KvsClient, item: String) -> Price {
    // A function has a type of its own, without a name. `as` makes a function pointer of it, whose
    // type has one. At the last step, the return type does that.
    let text = client.get(item).map_err(explain as fn(KvsError) -> String);
    text.and_then(parse)
}
