// A program still runs on the runtime of tokio 0.1. Half of its values are on a server that it asks
// with the old client (`anon`, futures of 0.1), and it asks the other server with the new one
// (`awaited`). It wants both answers, but does not want to wait for them for ever.
//
// 1. Write `Limited`, a std future by hand, for any two futures. Choose its pins.
// 2. Write `ask_both`: a std future of both answers, in a `Limited`, as a future of 0.1. Both requests
//    are sent before the first answer is there. Two `compat`s are necessary, one in each direction.
//
// docs/pin.md, "Projection", docs/six.md, "Two requests at once", and docs/leaving-futures-0.1.md,
// "compat, the ready-made one".

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
    // TODO: which fields need `#[pin]`?
    work: F,
    limit: L,
}

impl<F: Future, L: Future<Output = ()>> Future for Limited<F, L> {
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<F::Output>> {
        // TODO: if both are ready, the work counts.
        todo!()
    }
}

type Value = Option<String>;

/// Asks both clients for `key` at the same time. The future is one of 0.1, for a runtime of 0.1. Its
/// item is `None` if `limit` is ready first. It fails as soon as one of the clients fails.
fn ask_both(
    new: &awaited::KvsClient,
    old: &mut anon::KvsClient,
    key: &str,
    limit: impl Future<Output = ()> + Send + 'static,
) -> impl futures::Future<Item = Option<(Value, Value)>, Error = KvsError> + Send + 'static {
    // TODO: this future is here so that the file compiles. Replace it.
    let ask = async { todo!() };
    ask.boxed().compat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::Future as _;
    use futures03::channel::oneshot;
    use futures03::executor::block_on;
    use std::future::pending;
    use std::pin::pin;
    use std::sync::mpsc;
    use support::harness::Script;
    use support::{StdTask, Task, serve, within_time};

    #[test]
    fn the_limit_or_the_work_wakes_the_task() {
        within_time(|| {
            for is_in_time in [true, false] {
                let (done, work) = oneshot::channel();
                let (over, limit) = oneshot::channel();
                let work = async { work.await.unwrap() };
                let limit = async { limit.await.unwrap() };
                let (mut limited, task) = (pin!(Limited { work, limit }), StdTask::new());
                assert_eq!(task.poll(limited.as_mut()), Poll::Pending, "both wait");
                assert_eq!(task.wakes(), 0, "woken although nothing has happened");
                if is_in_time {
                    done.send(7).unwrap();
                    assert_eq!(task.wakes(), 1, "the work is done, and no wake-up came");
                } else {
                    over.send(()).unwrap();
                    assert_eq!(
                        task.wakes(),
                        1,
                        "the time is over, and no wake-up came: poll the limit too while the work \
                         is pending"
                    );
                }
                let output = task.poll(limited.as_mut());
                let expected = is_in_time.then_some(7);
                assert_eq!(output, Poll::Ready(expected), "the output");
            }
        });
    }

    #[test]
    fn the_work_counts_if_both_are_ready() {
        within_time(|| {
            let (work, limit) = (async { 7 }, async {});
            let output = StdTask::new().poll(pin!(Limited { work, limit }));
            assert_eq!(output, Poll::Ready(Some(7)), "the value is there: use it");
        });
    }

    #[test]
    fn both_values_come_from_their_servers() {
        within_time(|| {
            let ((_dir_a, a), (_dir_b, b)) = (serve(), serve());
            let mut new = block_on(awaited::KvsClient::connect(a.addr)).unwrap();
            let mut old = anon::KvsClient::connect(b.addr).wait().unwrap();
            block_on(new.set("k".to_owned(), "new".to_owned())).unwrap();
            old.set("k".to_owned(), "old".to_owned()).wait().unwrap();
            let values = ask_both(&new, &mut old, "k", pending()).wait().unwrap();
            let expected = ["new", "old"].map(|value| Some(value.to_owned()));
            assert_eq!(values, Some(expected.into()), "both values");
        });
    }

    #[test]
    fn both_requests_are_sent_before_an_answer_and_the_limit_ends_the_wait() {
        within_time(|| {
            let (ask, asked) = mpsc::channel();
            let scripts = [ask.clone(), ask].map(|ask| {
                Script::start(move |mut peer| {
                    // The peer reads the request, and never answers. Then the client disconnects.
                    ask.send(peer.receive()).unwrap();
                    assert!(peer.try_receive().is_err());
                })
            });
            let new = block_on(awaited::KvsClient::connect(scripts[0].addr)).unwrap();
            let mut old = anon::KvsClient::connect(scripts[1].addr).wait().unwrap();
            let (over, limit) = oneshot::channel();
            let limit = async { limit.await.unwrap() };
            let mut task = Task::new(ask_both(&new, &mut old, "k", limit));
            task.expect_not_ready();
            for _ in 0..2 {
                let request = asked.recv_timeout(std::time::Duration::from_secs(2)).expect(
                    "only one request was sent, and no answer is there: the second must not wait for \
                     the first answer",
                );
                assert_eq!(request, r#"{"Get":{"key":"k"}}"#, "the request");
            }
            over.send(())
                .expect("the limit was dropped: `ask_both` waits in a `Limited` with this limit");
            let values = task.finish().unwrap();
            assert_eq!(values, None, "the time is over");
            drop((new, old));
            scripts.into_iter().for_each(Script::finish);
        });
    }

    /// A peer that takes a request and does not answer. It may disconnect then.
    fn silent(disconnects: bool) -> Script {
        Script::start(move |mut peer| {
            let _ = peer.try_receive();
            while !disconnects && peer.try_receive().is_ok() {}
        })
    }

    #[test]
    fn an_error_of_either_client_ends_the_wait() {
        within_time(|| {
            for failing in 0..2 {
                let scripts = [0, 1].map(|n| silent(n == failing));
                let new = block_on(awaited::KvsClient::connect(scripts[0].addr)).unwrap();
                let mut old = anon::KvsClient::connect(scripts[1].addr).wait().unwrap();
                let result = Task::new(ask_both(&new, &mut old, "k", pending())).finish();
                assert!(
                    matches!(result, Err(KvsError::Connection { .. })),
                    "one connection was closed, so the future has to fail: {result:?}"
                );
                drop((new, old));
                scripts.into_iter().for_each(Script::finish);
            }
        });
    }
}
