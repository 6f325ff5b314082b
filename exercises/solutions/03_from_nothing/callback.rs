// The `oneshot` is the leaf: it keeps the task, and `send` wakes it. Its sender can be used once, so
// the callback, which may be called again, takes it out of an `Option`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use futures::sync::oneshot::{self, Canceled};
use futures::{Future, future};

fn main() {}

type Callback = Box<dyn FnMut(&str) + Send>;

/// The library. It knows nothing about futures.
#[derive(Clone, Default)]
struct Watcher {
    callbacks: Arc<Mutex<HashMap<String, Vec<Callback>>>>,
}

impl Watcher {
    /// Calls `callback` with each new value of `key`.
    fn on_change(&self, key: &str, callback: impl FnMut(&str) + Send + 'static) {
        let mut callbacks = self.callbacks.lock().unwrap();
        let of_key = callbacks.entry(key.to_owned()).or_default();
        of_key.push(Box::new(callback));
    }
}

/// Resolves to the next value of `key`. Fails if the library stops before there is one.
fn next_change(
    watcher: &Watcher,
    key: &str,
) -> impl Future<Item = String, Error = Canceled> + use<> {
    let (watcher, key) = (watcher.clone(), key.to_owned());
    future::lazy(move || {
        let (sender, changed) = oneshot::channel();
        let mut sender = Some(sender);
        watcher.on_change(&key, move |value| {
            if let Some(sender) = sender.take() {
                // This fails if the future has been dropped: then nothing waits for the value.
                let _ = sender.send(value.to_owned());
            }
        });
        changed
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::Async;
    use support::{Task, within_time};

    impl Watcher {
        fn change(&self, key: &str, value: &str) {
            let mut callbacks = self.callbacks.lock().unwrap();
            for callback in callbacks.get_mut(key).into_iter().flatten() {
                callback(value);
            }
        }

        fn stop(&self) {
            self.callbacks.lock().unwrap().clear();
        }

        fn is_watching(&self) -> bool {
            !self.callbacks.lock().unwrap().is_empty()
        }
    }

    #[test]
    fn the_next_change_wakes_the_task() {
        within_time(|| {
            let watcher = Watcher::default();
            let mut task = Task::new(next_change(&watcher, "key"));
            task.expect_not_ready();
            watcher.change("another", "no");
            assert_eq!(task.wakes(), 0, "woken although the key has not changed");
            watcher.change("key", "new");
            assert_eq!(task.wakes(), 1, "wake-ups after the change");
            let value = task.poll();
            assert_eq!(value, Ok(Async::Ready("new".to_owned())), "the value");
        });
    }

    #[test]
    fn it_resolves_to_the_first_of_many_changes() {
        within_time(|| {
            let watcher = Watcher::default();
            let mut task = Task::new(next_change(&watcher, "key"));
            task.expect_not_ready();
            for value in ["first", "second", "third"] {
                watcher.change("key", value);
            }
            let value = task.poll();
            assert_eq!(value, Ok(Async::Ready("first".to_owned())), "the value");
        });
    }

    #[test]
    fn nothing_is_watched_before_the_first_poll() {
        within_time(|| {
            let watcher = Watcher::default();
            let mut task = Task::new(next_change(&watcher, "key"));
            assert!(
                !watcher.is_watching(),
                "the future was not polled, and watches already: it is not lazy"
            );
            for _ in 0..3 {
                task.expect_not_ready();
            }
            let callbacks = watcher.callbacks.lock().unwrap();
            assert_eq!(callbacks["key"].len(), 1, "callbacks after three polls");
        });
    }

    #[test]
    fn a_change_after_the_drop_is_harmless() {
        within_time(|| {
            let watcher = Watcher::default();
            let mut task = Task::new(next_change(&watcher, "key"));
            task.expect_not_ready();
            drop(task);
            watcher.change("key", "new");
        });
    }

    #[test]
    fn it_fails_if_the_library_stops() {
        within_time(|| {
            let watcher = Watcher::default();
            let mut task = Task::new(next_change(&watcher, "key"));
            task.expect_not_ready();
            watcher.stop();
            assert_eq!(
                task.wakes(),
                1,
                "wake-ups after the library has dropped the callback: is the sender in it?"
            );
            assert_eq!(task.poll(), Err(Canceled), "the error");
        });
    }
}
