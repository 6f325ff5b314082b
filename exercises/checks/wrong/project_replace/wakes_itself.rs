//! Fails: both_run_one_after_the_other: can poll `second` at once

#![allow(unused, reason = "you write the code that uses them")]

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;

fn main() {}

/// Two futures, one after the other, as `exchange` of the client sends first and receives then.
#[pin_project(project = ThenProjection, project_replace = ThenReplaced)]
enum Then<A, B> {
    // TODO: which fields need `#[pin]`?
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
                    let replaced = self.as_mut().project_replace(Then::Done);
                    result?;
                    if let ThenReplaced::WaitingForFirst { second, .. } = replaced {
                        self.set(Then::WaitingForSecond { second });
                    }
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
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
