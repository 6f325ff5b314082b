// Many tasks count the bytes of many values. Each waits for its value, and adds its length to a total
// that they share. A thread pool takes only futures that are `Send`, and this one is not. The message
// names the variable and the `.await`.
//
// Mend the block. The total has to be right, however many tasks add to it.
//
// docs/leaving-futures-0.1.md, "Trap: Unpin, Send and 'static".

use std::sync::{Arc, Mutex};

use futures03::FutureExt as _;
use futures03::future::BoxFuture;

fn main() {}

/// Adds the length of `value` to `total`. The future is `Send`, so any executor can spawn it.
fn add_length(
    value: impl Future<Output = String> + Send + 'static,
    total: Arc<Mutex<usize>>,
) -> BoxFuture<'static, ()> {
    async move {
        // TODO: which variable lives too long?
        let mut total = total.lock().unwrap();
        *total += value.await.len();
    }
    .boxed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures03::channel::oneshot;
    use std::task::Poll;
    use support::{StdTask, within_time};

    #[test]
    fn the_total_is_right_however_many_tasks_add_to_it() {
        within_time(|| {
            let (total, task) = (Arc::new(Mutex::new(0)), StdTask::new());
            let mut senders = Vec::new();
            let mut futures = Vec::new();
            for _ in 0..3 {
                let (sender, receiver) = oneshot::channel::<String>();
                let value = async { receiver.await.unwrap() };
                let mut future = add_length(value, Arc::clone(&total));
                assert_eq!(task.poll(future.as_mut()), Poll::Pending, "no value yet");
                assert!(
                    total.try_lock().is_ok(),
                    "the lock is held while the future waits for its value"
                );
                senders.push(sender);
                futures.push(future);
            }
            for sender in senders {
                sender.send("four".to_owned()).unwrap();
            }
            assert_eq!(task.wakes(), 3, "each value wakes the task");
            for mut future in futures {
                assert_eq!(
                    task.poll(future.as_mut()),
                    Poll::Ready(()),
                    "a value is there"
                );
            }
            assert_eq!(
                *total.lock().unwrap(),
                12,
                "an addition was lost: read and write the total under one lock, after the wait"
            );
        });
    }
}
