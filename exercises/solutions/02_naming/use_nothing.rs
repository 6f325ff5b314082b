// `use<>` says that the future keeps none of the loans: neither that of the client, nor those of
// the key and of the counter. So a client can have many futures at once, and each of them is
// `'static`.
//
// It is a promise that the body has to keep. The future needs the counter for longer than the call,
// so it shares it, and does not borrow it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::Future;
use kvs::KvsError;
use kvs::client::anon::KvsClient;

fn main() {}

/// Resolves to the value of `key`, and counts the reply in `answered`.
fn get_and_count(
    client: &mut KvsClient,
    key: &str,
    answered: &Arc<AtomicU64>,
) -> impl Future<Item = Option<String>, Error = KvsError> + Send + use<> {
    let get = client.get(key.to_owned());
    let answered = Arc::clone(answered);
    get.inspect(move |_| {
        answered.fetch_add(1, Ordering::Relaxed);
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use support::{serve, within_time};
    use tokio::runtime::Runtime;

    #[test]
    fn two_futures_can_wait_at_once() {
        within_time(|| {
            let (_dir, server) = serve();
            let answered = Arc::new(AtomicU64::new(0));
            let mut client = KvsClient::connect(server.addr).wait().unwrap();
            client.set("a".to_owned(), "1".to_owned()).wait().unwrap();
            let a = get_and_count(&mut client, "a", &answered);
            let b = get_and_count(&mut client, "b", &answered);
            drop(client);
            let early = answered.load(Ordering::Relaxed);
            assert_eq!(early, 0, "the number of replies before the first poll");
            let values = a.join(b).wait().unwrap();
            assert_eq!(
                values,
                (Some("1".to_owned()), None),
                "the values of both keys"
            );
            let answered = answered.load(Ordering::Relaxed);
            assert_eq!(answered, 2, "the number of replies that were counted");
        });
    }

    #[test]
    fn it_can_be_spawned() {
        within_time(|| {
            let (_dir, server) = serve();
            let answered = Arc::new(AtomicU64::new(0));
            let mut runtime = Runtime::new().unwrap();
            let mut client = runtime.block_on(KvsClient::connect(server.addr)).unwrap();
            let key = "key".to_owned();
            let get = get_and_count(&mut client, &key, &answered);
            drop((client, key));
            runtime.spawn(get.map(drop).map_err(drop));
            runtime.shutdown_on_idle().wait().unwrap();
            let answered = answered.load(Ordering::Relaxed);
            assert_eq!(answered, 1, "the number of replies that were counted");
        });
    }
}
