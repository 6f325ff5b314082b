//! Fails: E0277

use std::pin::Pin;
use std::task::{Context, Poll, ready};

fn main() {}

struct Map<F, G> {
    future: F,
    change: Option<G>,
}

impl<F, G, T> Future for Map<F, G>
where
    F: Future + Unpin,
    G: FnOnce(F::Output) -> T + Unpin,
{
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let output = ready!(Pin::new(&mut self.future).poll(cx));
        let change = self.change.take().expect("polled after completion");
        Poll::Ready(change(output))
    }
}
