// `poll` polls `future`, so that field is pinned: its projection is a `Pin<&mut F>`. `change` is
// taken out of its field, so it moves, and its projection is a `&mut Option<G>`.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;

fn main() {}

/// A future of `change(output)`, for the output of `future`.
#[pin_project]
struct Map<F, G> {
    #[pin]
    future: F,
    /// `None` after the end.
    change: Option<G>,
}

impl<F, G, T> Future for Map<F, G>
where
    F: Future,
    G: FnOnce(F::Output) -> T,
{
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let this = self.project();
        let output = ready!(this.future.poll(cx));
        let change = this.change.take().expect("polled after completion");
        Poll::Ready(change(output))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures03::channel::oneshot;
    use std::pin::pin;
    use support::{StdTask, within_time};

    #[test]
    fn it_changes_the_output_of_any_future() {
        within_time(|| {
            let (sender, receiver) = oneshot::channel();
            let (suffix, task) = ("!".to_owned(), StdTask::new());
            // The future of an `async` block must not move. The closure owns a `String`.
            let mut map = pin!(Map {
                future: async { receiver.await.unwrap() },
                change: Some(move |word: &str| word.to_owned() + &suffix),
            });
            assert_eq!(task.poll(map.as_mut()), Poll::Pending, "nothing was sent");
            sender.send("hello").unwrap();
            assert_eq!(task.wakes(), 1, "no wake-up came: pass `cx` on");
            let output = task.poll(map.as_mut());
            assert_eq!(output, Poll::Ready("hello!".to_owned()), "the output");
        });
    }
}
