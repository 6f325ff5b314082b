// A setting is given on the command line, or else the server has it. The function boxes its two
// futures. Take the boxes away: the future is returned by value, and only its traits are promised.
// It is still `Send`.
//
// Two futures with the same item are still two types, and `impl Future` stands for one type.
// `docs/part-4-anonymous.md`, "The box taken away", and "Three limits" ("Two of them are two
// types").

use futures::{Future, future};
use kvs::KvsError;
use kvs::client::anon::KvsClient;

fn main() {}

/// Resolves to `given`, or else to the value of `key` on the server.
fn setting(
    mut client: KvsClient,
    key: String,
    given: Option<String>,
) -> Box<dyn Future<Item = Option<String>, Error = KvsError> + Send> {
    // TODO: no box, neither in the type nor in the body.
    match given {
        Some(value) => Box::new(future::ok(Some(value))),
        None => Box::new(client.get(key)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::any::type_name_of_val;
    use support::{serve, within_time};

    /// Returns the setting `key`, which the server has as `stored`.
    fn setting_of(key: &str, given: Option<&str>) -> Option<String> {
        let (_dir, server) = serve();
        let mut client = KvsClient::connect(server.addr).wait().unwrap();
        let set = client.set("key".to_owned(), "stored".to_owned());
        set.wait().unwrap();
        let setting = setting(client, key.to_owned(), given.map(str::to_owned));
        let setting: &mut (dyn Future<Item = _, Error = _> + Send) = &mut { setting };
        setting.wait().unwrap()
    }

    #[test]
    fn a_setting_is_given_or_stored() {
        within_time(|| {
            let given = setting_of("key", Some("given"));
            assert_eq!(given.as_deref(), Some("given"), "the setting that is given");
            let stored = setting_of("key", None);
            assert_eq!(
                stored.as_deref(),
                Some("stored"),
                "the setting on the server"
            );
            let missing = setting_of("missing", None);
            assert_eq!(missing, None, "the setting that is missing");
        });
    }

    #[test]
    fn there_is_no_box() {
        within_time(|| {
            let (_dir, server) = serve();
            let client = KvsClient::connect(server.addr).wait().unwrap();
            let setting = setting(client, "key".to_owned(), None);
            let name = type_name_of_val(&setting);
            assert!(
                !name.contains("Box<"),
                "the future is, or contains, a box: {name}"
            );
        });
    }
}
