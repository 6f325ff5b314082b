//! Fails: it_waits_without_blocking: does it block?

use futures::future::{self, Future};
use kvs::KvsError;

fn main() {}

fn last<G, F>(mut get: G, key: String) -> Box<dyn Future<Item = String, Error = KvsError> + Send>
where
    G: FnMut(String) -> F + Send + 'static,
    F: Future<Item = Option<String>, Error = KvsError> + Send + 'static,
{
    Box::new(future::lazy(move || {
        let mut key = key;
        while let Some(next) = get(key.clone()).wait()? {
            key = next;
        }
        Ok(key)
    }))
}
