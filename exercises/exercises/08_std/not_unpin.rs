// Two servers have the same value, and you want the answer that comes first. `select` of futures 0.3
// takes two futures by value, and gives the slower one back to you. So it may move them, and takes
// only futures that may be moved: they have to be `Unpin`. The future of an `async` block is not.
//
// Mend the function. Its signature stays as it is, so that callers need no box.
//
// docs/pin.md, "Unpin: the promise is empty", and "Pin is a promise" for the two ways of pinning.

use futures03::future::{Either, select};

fn main() {}

/// Returns the output of the future that is ready first, and drops the other one.
async fn faster<T>(a: impl Future<Output = T>, b: impl Future<Output = T>) -> T {
    // TODO: neither `a` nor `b` may be moved any more once it has been polled. Promise that.
    match select(a, b).await {
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
