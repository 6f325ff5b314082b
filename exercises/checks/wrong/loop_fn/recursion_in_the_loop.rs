//! Fails: each_poll_is_as_deep_as_the_first: the future of a step must not contain

use futures::future::{self, Future, Loop};
use kvs::KvsError;

fn main() {}

fn last<G, F>(get: G, key: String) -> Box<dyn Future<Item = String, Error = KvsError> + Send>
where
    G: FnMut(String) -> F + Send + 'static,
    F: Future<Item = Option<String>, Error = KvsError> + Send + 'static,
{
    Box::new(future::loop_fn((get, key), |(mut get, key)| {
        get(key.clone())
            .and_then(|value| match value {
                Some(next) => last(get, next),
                None => Box::new(future::ok(key)),
            })
            .map(Loop::<String, (G, String)>::Break)
    }))
}
