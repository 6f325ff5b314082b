// A `Pin<&mut F>` is a pointer. `select` may move the pointer, and the future stays where it is. The
// two futures live in `faster`, which owns them until it returns, so no box is necessary.

use std::pin::pin;

use futures03::future::{Either, select};

fn main() {}

/// Returns the output of the future that is ready first, and drops the other one.
async fn faster<T>(a: impl Future<Output = T>, b: impl Future<Output = T>) -> T {
    match select(pin!(a), pin!(b)).await {
        Either::Left((output, _)) | Either::Right((output, _)) => output,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures03::channel::oneshot;
    use std::pin::pin;
    use std::task::Poll;
    use support::{StdTask, within_time};

    #[test]
    fn the_first_answer_counts() {
        within_time(|| {
            for ready in [0, 1] {
                let ((a, from_a), (b, from_b)) = (oneshot::channel(), oneshot::channel());
                let [sender, _other] = if ready == 0 { [a, b] } else { [b, a] };
                // Futures of `async` blocks, which must not move.
                let a = async { from_a.await.unwrap() };
                let b = async { from_b.await.unwrap() };
                let (mut first, task) = (pin!(faster(a, b)), StdTask::new());
                assert_eq!(
                    task.poll(first.as_mut()),
                    Poll::Pending,
                    "no answer is there"
                );
                sender.send(ready).unwrap();
                assert_eq!(
                    task.poll(first.as_mut()),
                    Poll::Ready(ready),
                    "answer {ready} is there, and `faster` waits for the other one: poll both"
                );
            }
        });
    }
}
