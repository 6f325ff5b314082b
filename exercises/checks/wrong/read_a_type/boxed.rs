//! Fails: the_type_has_all_steps: the type should name each step

use futures::Future;
use kvs::KvsError;
use kvs::client::manual::KvsClient;

fn main() {}

type Price = Box<dyn Future<Item = u32, Error = String>>;

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
    Box::new(text.and_then(parse))
}
