// The latch is a leaf with many tasks. Each clone has a place of its own for its `Task`, so the last
// poll of a clone replaces the task of its earlier polls, and never that of another clone.

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
        if shared.handles > 0 {
            return;
        }
        let waiting = mem::take(&mut shared.waiting);
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

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future;
    use std::cell::{Cell, RefCell};
    use std::rc::Rc;
    use std::thread;
    use std::time::{Duration, Instant};
    use support::{Task, serve, within_time};
    use tokio::runtime::current_thread::Runtime;

    /// Polls when woken, as an executor does.
    fn wait(latch: Latch) {
        let mut task = Task::new(latch);
        if task.poll().unwrap().is_ready() {
            return;
        }
        let deadline = Instant::now() + Duration::from_secs(3);
        while task.wakes() == 0 {
            let is_late = Instant::now() > deadline;
            assert!(!is_late, "no handle is left, and the task was not woken");
            thread::yield_now();
        }
        assert_eq!(task.poll(), Ok(Async::Ready(())), "no handle is left");
    }

    #[test]
    fn the_last_handle_opens_the_latch() {
        within_time(|| {
            let (mut handles, latch) = latch(3);
            let mut task = Task::new(latch);
            while let Some(handle) = handles.pop() {
                task.expect_not_ready();
                assert_eq!(task.wakes(), 0, "woken although a handle is left");
                drop(handle);
            }
            assert_eq!(task.wakes(), 1, "wake-ups after the last handle");
            assert_eq!(task.poll(), Ok(Async::Ready(())), "no handle is left");
        });
    }

    #[test]
    fn every_task_that_waits_is_woken_once() {
        within_time(|| {
            let (handles, latch) = latch(2);
            let mut tasks = [latch.clone(), latch.clone(), latch].map(Task::new);
            for _ in 0..5 {
                for task in &mut tasks {
                    task.expect_not_ready();
                }
            }
            drop(handles);
            assert_eq!(
                tasks.each_ref().map(Task::wakes),
                [1, 1, 1],
                "wake-ups of three tasks, each of which has polled its latch five times: \
                 keep one task for each latch"
            );
            for task in &mut tasks {
                assert_eq!(task.poll(), Ok(Async::Ready(())), "no handle is left");
            }
        });
    }

    #[test]
    fn the_task_that_polled_last_is_woken() {
        within_time(|| {
            let (handles, mut latch) = latch(1);
            Task::new(&mut latch).expect_not_ready();
            let mut second = Task::new(latch);
            second.expect_not_ready();
            drop(handles);
            assert_eq!(
                second.wakes(),
                1,
                "the latch has moved, and the task that has it now was not woken"
            );
        });
    }

    #[test]
    fn a_latch_that_is_open_is_ready_at_once() {
        within_time(|| {
            let (handles, latch) = latch(1);
            drop(handles);
            let mut task = Task::new(latch.clone());
            assert_eq!(task.poll(), Ok(Async::Ready(())), "no handle is left");
            assert_eq!(task.wakes(), 0, "woken although it was ready at once");
            let (_, latch) = super::latch(0);
            let open = Task::new(latch).poll();
            assert_eq!(open, Ok(Async::Ready(())), "there was no handle");
        });
    }

    #[test]
    fn handles_may_be_dropped_on_any_thread() {
        within_time(|| {
            for _ in 0..100 {
                let (handles, latch) = latch(2);
                let threads = handles.into_iter();
                let threads: Vec<_> = threads
                    .map(|handle| thread::spawn(move || drop(handle)))
                    .collect();
                wait(latch.clone());
                wait(latch);
                for thread in threads {
                    thread.join().unwrap();
                }
            }
        });
    }

    #[test]
    fn a_job_keeps_its_handle_until_its_end() {
        within_time(|| {
            let (_dir, server) = serve();
            let mut client = KvsClient::connect(server.addr).wait().unwrap();
            let (mut handles, latch) = latch(1);
            let mut open = Task::new(latch);
            let mut job = Task::new(job(&mut client, "key", "value", handles.remove(0)));
            let early = "the latch is open, and the job has not ended: who owns the handle?";
            assert!(!open.poll().unwrap().is_ready(), "{early}");
            while !job.poll().unwrap().is_ready() {
                assert!(!open.poll().unwrap().is_ready(), "{early}");
                job.wait_for_wake();
            }
            assert_eq!(
                open.wakes(),
                1,
                "wake-ups after the job has ended: it has to drop its handle"
            );
        });
    }

    #[test]
    fn a_job_that_fails_or_is_cancelled_drops_its_handle() {
        within_time(|| {
            let (_dir, mut server) = serve();
            let mut client = KvsClient::connect(server.addr).wait().unwrap();
            let (mut handles, latch) = latch(2);
            let mut open = Task::new(latch);
            open.expect_not_ready();
            drop(job(&mut client, "key", "value", handles.remove(0)));
            server.stop();
            let mut job = Task::new(job(&mut client, "key", "value", handles.remove(0)));
            loop {
                match job.poll() {
                    Ok(Async::Ready(())) => panic!("stored without a server"),
                    Ok(Async::NotReady) => job.wait_for_wake(),
                    Err(_) => break,
                }
            }
            assert_eq!(
                open.wakes(),
                1,
                "wake-ups after one job was cancelled and the other has failed: \
                 both have to drop their handles"
            );
        });
    }

    #[test]
    fn the_values_are_read_when_all_jobs_have_ended() {
        within_time(|| {
            let (_dir, server) = serve();
            let mut runtime = Runtime::new().unwrap();
            let mut client = runtime.block_on(KvsClient::connect(server.addr)).unwrap();
            let (handles, latch) = latch(8);
            let mut reader = client.clone();
            let keys = || (0..8).map(|n| format!("key{n}"));
            let read = latch.clone().map_err(|never| match never {});
            let read = read.and_then(move |()| {
                let gets: Vec<_> = keys().map(|key| reader.get(key)).collect();
                future::join_all(gets)
            });
            let values = Rc::new(RefCell::new(Vec::new()));
            let result = Rc::clone(&values);
            runtime.spawn(read.then(move |values| {
                *result.borrow_mut() = values.unwrap();
                Ok(())
            }));
            let is_over = Rc::new(Cell::new(false));
            let over = Rc::clone(&is_over);
            runtime.spawn(latch.then(move |_| {
                over.set(true);
                Ok(())
            }));
            for (key, handle) in keys().zip(handles) {
                let job = job(&mut client, &key, "value", handle);
                runtime.spawn(job.map_err(|error| panic!("{error}")));
            }
            drop(client);
            runtime.run().unwrap();
            let value = Some("value".to_owned());
            assert_eq!(values.take(), vec![value; 8], "the values after the latch");
            assert!(is_over.get(), "the second task has waited for the latch");
        });
    }
}
