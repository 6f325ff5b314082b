//! Fails: E0596

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;

fn main() {}

#[pin_project]
struct Map<F, G> {
    #[pin]
    future: F,
    #[pin]
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
