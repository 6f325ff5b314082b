// A struct is going to hold this chain, and a field of a struct has a type with a name. The steps
// of this chain are functions and not closures, so its type has a name.
//
// Write the type of the chain in place of `()`: with `AndThen`, `MapErr` and so on, without `Box`,
// and without `_`. Change nothing else. You need not find it out alone: ask the compiler.
// `docs/types.md`, "Ask for a type: `let () = value;`" and "Every call makes a new type".
#![allow(unused, reason = "you will use them")]

use futures::Future;
use futures::future::{AndThen, FutureResult, Map, MapErr};
use kvs::KvsError;
use kvs::client::manual::{ClientGetFuture, KvsClient};

fn main() {}

// TODO: the type.
type Price = ();

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

#[cfg(test)]
mod tests {
    use super::*;
    use std::any::type_name;
    use support::{serve, within_time};

    /// What the type is written for.
    struct Order {
        price: Price,
        count: u32,
    }

    #[test]
    fn a_struct_can_hold_the_chain() {
        within_time(|| {
            let (_dir, server) = serve();
            let mut client = KvsClient::connect(server.addr).wait().unwrap();
            let set = client.set("tea".to_owned(), "7".to_owned());
            set.wait().unwrap();
            let order = Order {
                price: price(&mut client, "tea".to_owned()),
                count: 6,
            };
            let price: Result<u32, String> = order.price.wait();
            assert_eq!(price.map(|price| price * order.count), Ok(42));
        });
    }

    #[test]
    fn the_type_has_all_steps() {
        within_time(|| {
            let name = type_name::<Price>();
            for step in ["AndThen<", "MapErr<", "ClientGetFuture"] {
                assert!(
                    name.contains(step),
                    "the type should name each step, and {step} is not in it: {name}"
                );
            }
        });
    }
}
