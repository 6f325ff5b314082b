// The state is all that the next step needs: the way to ask, and the key. It goes through the
// future of the step, whose closure owns it and gives it back in `Continue`. Then `loop_fn` drops
// that future, so each poll is as deep as the first one.

use futures::future::{self, Future, Loop};
use kvs::KvsError;

fn main() {}

/// Follows a list: the value of each key is the next key. Resolves to the last key of the list,
/// which is the first one without a value. `get` makes the request for the value of a key.
fn last<G, F>(get: G, key: String) -> Box<dyn Future<Item = String, Error = KvsError> + Send>
where
    G: FnMut(String) -> F + Send + 'static,
    F: Future<Item = Option<String>, Error = KvsError> + Send + 'static,
{
    Box::new(future::loop_fn((get, key), |(mut get, key)| {
        get(key.clone()).map(|value| match value {
            Some(next) => Loop::Continue((get, next)),
            None => Loop::Break(key),
        })
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::{Async, Poll, task};
    use kvs::client::anon::KvsClient;
    use std::sync::{Arc, Mutex};
    use support::{Task, serve, within_time};

    /// Answers at its second poll, and notes where in the stack it was polled.
    struct Answer {
        value: Option<String>,
        was_polled: bool,
        stack: Arc<Mutex<Vec<usize>>>,
    }

    impl Future for Answer {
        type Item = Option<String>;
        type Error = KvsError;

        fn poll(&mut self) -> Poll<Option<String>, KvsError> {
            let local = 0_u8;
            self.stack.lock().unwrap().push((&raw const local).addr());
            if self.was_polled {
                return Ok(Async::Ready(self.value.take()));
            }
            self.was_polled = true;
            task::current().notify();
            Ok(Async::NotReady)
        }
    }

    /// Answers for a list with the keys 0 to `last`.
    fn list(last: usize) -> (impl FnMut(String) -> Answer, Arc<Mutex<Vec<usize>>>) {
        let stack = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&stack);
        let get = move |key: String| {
            let next = key.parse::<usize>().unwrap() + 1;
            Answer {
                value: (next <= last).then(|| next.to_string()),
                was_polled: false,
                stack: Arc::clone(&notes),
            }
        };
        (get, stack)
    }

    #[test]
    fn it_finds_the_last_key() {
        within_time(|| {
            let (_dir, server) = serve();
            let mut client = KvsClient::connect(server.addr).wait().unwrap();
            for (key, next) in [("a", "b"), ("b", "c")] {
                client.set(key.to_owned(), next.to_owned()).wait().unwrap();
            }
            let found = last(move |key| client.get(key), "a".to_owned()).wait();
            assert_eq!(found.unwrap(), "c", "the last key of a, b, c");
        });
    }

    #[test]
    fn it_waits_without_blocking() {
        within_time(|| {
            let (get, _) = list(2);
            let mut found = Task::new(last(get, "0".to_owned()));
            // Each step answers at its second poll, and the next one begins in the same poll.
            for _ in 0..3 {
                assert!(
                    matches!(found.poll(), Ok(Async::NotReady)),
                    "a step was not ready, and the loop did not return `NotReady`: does it block?"
                );
            }
            match found.poll() {
                Ok(Async::Ready(key)) => assert_eq!(key, "2", "the last key of 0, 1, 2"),
                other => panic!("all steps are ready, but the loop is not over: {other:?}"),
            }
        });
    }

    #[test]
    fn each_poll_is_as_deep_as_the_first() {
        within_time(|| {
            let (get, stack) = list(200);
            let found = Task::new(last(get, "0".to_owned())).finish();
            assert_eq!(found.unwrap(), "200", "the last key of 0 to 200");
            let stack = stack.lock().unwrap();
            let depth = stack.iter().max().unwrap() - stack.iter().min().unwrap();
            assert!(
                depth < 16 * 1024,
                "the last step needs {depth} bytes more of the stack than the first: the future of \
                 a step must not contain those of the next steps"
            );
        });
    }
}
