//! Fails: both_requests_are_sent_before_an_answer_and_the_limit_ends_the_wait: the limit was dropped

#![allow(unused, reason = "you write the code that uses them")]

use std::pin::Pin;
use std::task::{Context, Poll};

use futures03::compat::Future01CompatExt as _;
use futures03::future::try_join;
use futures03::{FutureExt as _, TryFutureExt as _};
use kvs::KvsError;
use kvs::client::{anon, awaited};
use pin_project::pin_project;

fn main() {}

/// Waits for `work`, but no longer than until `limit` is ready. The output is `None` if the time is
/// over first.
#[pin_project]
struct Limited<F, L> {
    #[pin]
    work: F,
    #[pin]
    limit: L,
}

impl<F: Future, L: Future<Output = ()>> Future for Limited<F, L> {
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<F::Output>> {
        let this = self.project();
        if let Poll::Ready(output) = this.work.poll(cx) {
            return Poll::Ready(Some(output));
        }
        this.limit.poll(cx).map(|()| None)
    }
}

type Value = Option<String>;

/// Asks both clients for `key` at the same time. The future is one of 0.1, for a runtime of 0.1. Its
/// item is `None` if `limit` is ready first.
fn ask_both(
    new: &awaited::KvsClient,
    old: &mut anon::KvsClient,
    key: &str,
    limit: impl Future<Output = ()> + Send + 'static,
) -> impl futures::Future<Item = Option<(Value, Value)>, Error = KvsError> + Send + 'static {
    let mut new = new.clone();
    let from_old = old.get(key.to_owned()).compat();
    let key = key.to_owned();
    let work = try_join(async move { new.get(key).await }, from_old);
    {
        let _ = limit;
        work.map_ok(Some)
    }
    .boxed()
    .compat()
}
