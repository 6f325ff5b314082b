// `map` comes before `or_else`: an `or_else` resolves to the item of the step before it, or to the
// one that its closure recovers with, so both have to be a `bool`. The closure passes every other
// error on. A chain that turned all of them into `false` would say that the key is gone while the
// server still has it.

use futures::Future;
use kvs::KvsError;
use kvs::client::anon::KvsClient;

fn main() {}

/// Removes `key`. Resolves to whether the key existed.
fn remove_if_there(
    client: &mut KvsClient,
    key: String,
) -> impl Future<Item = bool, Error = KvsError> + use<> {
    let removed = client.remove(key);
    removed.map(|()| true).or_else(|error| match error {
        KvsError::KeyNotFound => Ok(false),
        other => Err(other),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use support::harness::Script;
    use support::{serve, within_time};

    #[test]
    fn a_key_that_exists_is_removed() {
        within_time(|| {
            let (_dir, server) = serve();
            let mut client = KvsClient::connect(server.addr).wait().unwrap();
            let set = client.set("key".to_owned(), "value".to_owned());
            set.wait().unwrap();
            let removed = remove_if_there(&mut client, "key".to_owned());
            assert!(removed.wait().unwrap(), "the key existed, so this is true");
            let value = client.get("key".to_owned()).wait().unwrap();
            assert_eq!(value, None, "the value on the server");
        });
    }

    #[test]
    fn a_key_that_does_not_exist_is_no_error() {
        within_time(|| {
            let (_dir, server) = serve();
            let mut client = KvsClient::connect(server.addr).wait().unwrap();
            let removed = remove_if_there(&mut client, "key".to_owned()).wait();
            let removed = removed.expect("recover from KeyNotFound");
            assert!(!removed, "the key did not exist, so this is false");
        });
    }

    #[test]
    fn every_other_error_stays_an_error() {
        within_time(|| {
            let script = Script::start(|mut peer| {
                peer.receive();
                peer.send(r#"{"Err":{"code":"storage_full","message":"the disk is full"}}"#);
            });
            let mut client = KvsClient::connect(script.addr).wait().unwrap();
            let removed = remove_if_there(&mut client, "key".to_owned()).wait();
            script.finish();
            assert!(
                matches!(removed, Err(KvsError::Server { .. })),
                "the disk of the server was full, so the key is still there: pass this error on, \
                 and not {removed:?}"
            );
        });
    }
}
