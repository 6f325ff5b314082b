// `impl Future` is one type, which the body chooses. Here it is an `Either`, an enum with one
// variant for each branch. It needs no allocation, and callers do not notice if you choose another
// one.

use futures::Future;
use futures::future::{self, Either};
use kvs::KvsError;
use kvs::client::anon::KvsClient;

fn main() {}

/// Resolves to `given`, or else to the value of `key` on the server.
fn setting(
    mut client: KvsClient,
    key: String,
    given: Option<String>,
) -> impl Future<Item = Option<String>, Error = KvsError> + Send {
    match given {
        Some(value) => Either::A(future::ok(Some(value))),
        None => Either::B(client.get(key)),
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
