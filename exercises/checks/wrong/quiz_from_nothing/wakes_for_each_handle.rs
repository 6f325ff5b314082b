//! Fails: the_last_handle_opens_the_latch: woken although a handle is left
#![allow(unused, reason = "as in the starter")]

use std::convert::Infallible;
use std::mem;
use std::sync::{Arc, Mutex};

use futures::task::{self, Task};
use futures::{Async, Future, Poll};
use kvs::KvsError;
use kvs::client::anon::KvsClient;

fn main() {}

/// Makes `n` handles, and a latch that opens when all of them are dropped.
fn latch(n: usize) -> (Vec<Handle>, Latch) {
    let shared = Arc::new(Mutex::new(Shared {
        handles: n,
        waiting: Vec::new(),
    }));
    let handle = |_| Handle {
        shared: Arc::clone(&shared),
    };
    ((0..n).map(handle).collect(), Latch::new(&shared))
}

struct Shared {
    /// The handles that are left.
    handles: usize,
    /// The tasks that wait, at the places of their latches.
    waiting: Vec<Option<Task>>,
}

/// Keeps the latch closed until it is dropped.
struct Handle {
    shared: Arc<Mutex<Shared>>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        let mut shared = self.shared.lock().unwrap();
        shared.handles -= 1;
        let waiting = shared.waiting.clone();
        // An executor may poll inside `notify`, and the poll takes the lock.
        drop(shared);
        for task in waiting.into_iter().flatten() {
            task.notify();
        }
    }
}

/// Resolves when all handles are dropped.
struct Latch {
    shared: Arc<Mutex<Shared>>,
    place: usize,
}

impl Latch {
    fn new(shared: &Arc<Mutex<Shared>>) -> Latch {
        let waiting = &mut shared.lock().unwrap().waiting;
        waiting.push(None);
        Latch {
            shared: Arc::clone(shared),
            place: waiting.len() - 1,
        }
    }
}

impl Clone for Latch {
    fn clone(&self) -> Latch {
        Latch::new(&self.shared)
    }
}

impl Future for Latch {
    type Item = ();
    type Error = Infallible;

    fn poll(&mut self) -> Poll<(), Infallible> {
        // Look and store under one lock: a drop between the two would wake the others only.
        let mut shared = self.shared.lock().unwrap();
        if shared.handles == 0 {
            return Ok(Async::Ready(()));
        }
        shared.waiting[self.place] = Some(task::current());
        Ok(Async::NotReady)
    }
}

/// Stores a value, and drops `handle` when the value is stored or has failed to be.
fn job(
    client: &mut KvsClient,
    key: &str,
    value: &str,
    handle: Handle,
) -> impl Future<Item = (), Error = KvsError> + use<> {
    let stored = client.set(key.to_owned(), value.to_owned());
    // The closure owns the handle, and the chain owns the closure. So a job that is cancelled drops the
    // handle, too.
    stored.then(move |result| {
        drop(handle);
        result
    })
}
