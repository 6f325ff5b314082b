//! Fails: it_resolves_to_the_first_of_many_changes: called `Option::unwrap()` on a `None` value
#![allow(unused, reason = "as in the starter")]

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
            let _ = sender.take().unwrap().send(value.to_owned());
        });
        changed
    })
}
