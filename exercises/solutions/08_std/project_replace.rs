// There is no contradiction: `second` may move until it is pinned. The first state does not poll it,
// so it has no `#[pin]` there. The second state polls it, and never moves it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;

fn main() {}

/// Two futures, one after the other, as `exchange` of the client sends first and receives then.
#[pin_project(project = ThenProjection, project_replace = ThenReplaced)]
enum Then<A, B> {
    WaitingForFirst {
        #[pin]
        first: A,
        second: B,
    },
    WaitingForSecond {
        #[pin]
        second: B,
    },
    Done,
}

impl<A, B, T, E> Future for Then<A, B>
where
    A: Future<Output = Result<(), E>>,
    B: Future<Output = Result<T, E>>,
{
    type Output = Result<T, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T, E>> {
        loop {
            match self.as_mut().project() {
                ThenProjection::WaitingForFirst { first, .. } => {
                    let result = ready!(first.poll(cx));
                    // Drops `first` in its place, and moves `second` out.
                    let replaced = self.as_mut().project_replace(Then::Done);
                    // After that line, so that a failure leaves `Done`, and drops `second`.
                    result?;
                    if let ThenReplaced::WaitingForFirst { second, .. } = replaced {
                        // The loop polls the new state at once. A return here would be a `Pending`
                        // that nothing wakes.
                        self.set(Then::WaitingForSecond { second });
                    }
                }
                ThenProjection::WaitingForSecond { second } => {
                    let result = ready!(second.poll(cx));
                    self.set(Then::Done);
                    return Poll::Ready(result);
                }
                ThenProjection::Done => panic!("polled after completion"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures03::channel::oneshot;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::pin::pin;
    use std::sync::Arc;
    use support::{StdTask, within_time};

    /// A future that is ready when something is sent, and must not move.
    async fn received<T>(
        receiver: oneshot::Receiver<Result<T, &'static str>>,
    ) -> Result<T, &'static str> {
        receiver.await.unwrap()
    }

    fn assert_done<F: Future>(task: &StdTask, future: Pin<&mut F>) {
        let poll = catch_unwind(AssertUnwindSafe(|| drop(task.poll(future))));
        let panic = poll.expect_err("a poll after the end has to panic: is the state `Done`?");
        let message = panic.downcast_ref::<&str>().copied();
        assert_eq!(
            message,
            Some("polled after completion"),
            "a poll after the end reached one of the futures again: the state has to be `Done`"
        );
    }

    #[test]
    fn both_run_one_after_the_other() {
        within_time(|| {
            let ((one, first), (two, second)) = (oneshot::channel(), oneshot::channel());
            let (first, second) = (received(first), received(second));
            let task = StdTask::new();
            let mut then = pin!(Then::WaitingForFirst { first, second });
            assert_eq!(task.poll(then.as_mut()), Poll::Pending, "nothing was sent");
            one.send(Ok(())).unwrap();
            assert_eq!(task.wakes(), 1, "`first` is ready, and no wake-up came");
            assert_eq!(task.poll(then.as_mut()), Poll::Pending, "`second` waits");
            assert_eq!(
                task.wakes(),
                1,
                "woken although nothing has happened: the poll that ends the first state can poll \
                 `second` at once"
            );
            two.send(Ok(7)).unwrap();
            assert_eq!(
                task.wakes(),
                2,
                "`second` is ready, and no wake-up came: the poll that ends the first state has to \
                 poll `second` too"
            );
            assert_eq!(task.poll(then.as_mut()), Poll::Ready(Ok(7)), "the output");
            assert_done(&task, then);
        });
    }

    #[test]
    fn a_failure_ends_it() {
        within_time(|| {
            let (one, first) = oneshot::channel();
            let resource = Arc::new(());
            let kept = Arc::clone(&resource);
            let second = async move {
                drop(kept);
                Ok(7)
            };
            let (first, task) = (received(first), StdTask::new());
            let mut then = pin!(Then::WaitingForFirst { first, second });
            assert_eq!(task.poll(then.as_mut()), Poll::Pending, "nothing was sent");
            one.send(Err("no")).unwrap();
            assert_eq!(
                task.poll(then.as_mut()),
                Poll::Ready(Err("no")),
                "the error"
            );
            assert_eq!(
                Arc::strong_count(&resource),
                1,
                "after a failure nothing needs `second`, and it is still kept: which line comes first?"
            );
            assert_done(&task, then);
        });
    }

    #[test]
    fn a_failure_of_the_second_ends_it_too() {
        within_time(|| {
            let (first, second) = (async { Ok(()) }, async { Err::<u32, _>("no") });
            let task = StdTask::new();
            let mut then = pin!(Then::WaitingForFirst { first, second });
            assert_eq!(
                task.poll(then.as_mut()),
                Poll::Ready(Err("no")),
                "the error of `second`"
            );
            assert_done(&task, then);
        });
    }
}
