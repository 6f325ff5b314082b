//! futures 0.3 and tokio 1.

mod running;

use std::collections::VecDeque;
use std::future::{self, IntoFuture};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::channel::mpsc;
use futures::executor::block_on;
use futures::future::{BoxFuture, Either};
use futures::{FutureExt, Sink, SinkExt, Stream, StreamExt, TryFutureExt, TryStreamExt, stream};
use futures03 as futures;

/// The future of most tests.
fn seven() -> future::Ready<Result<u32, String>> {
    future::ready(Ok(7))
}

async fn twice(n: u32) -> Result<u32, String> {
    Ok(2 * n)
}

fn numbers() -> impl Stream<Item = Result<u32, String>> + Unpin {
    stream::iter([1, 2, 3]).map(Ok)
}

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

// Futures.

#[test]
fn return_one() {
    fn read() -> impl Future<Output = io::Result<u32>> {
        future::ready(Ok(7))
    }
    assert_eq!(block_on(read()).unwrap(), 7);
}

#[test]
fn return_one_in_a_box() {
    fn read() -> BoxFuture<'static, io::Result<u32>> {
        future::ready(Ok(7)).boxed()
    }
    assert_eq!(block_on(read()).unwrap(), 7);
}

#[test]
fn write_one() {
    struct Seven;
    impl Future for Seven {
        type Output = u32;

        fn poll(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<u32> {
            Poll::Ready(7)
        }
    }
    assert_eq!(block_on(Seven), 7);
}

#[test]
fn write_one_as_a_closure() {
    let seven = future::poll_fn(|_cx| Poll::Ready(7));
    assert_eq!(block_on(seven), 7);
}

#[test]
fn not_yet() {
    let mut polls = 0;
    let seven = future::poll_fn(move |cx| {
        polls += 1;
        if polls == 1 {
            let waker = cx.waker().clone();
            waker.wake();
            return Poll::Pending;
        }
        Poll::Ready(7)
    });
    assert_eq!(block_on(seven), 7);
}

#[test]
fn only_if_it_is_ready() {
    let mut inner = seven();
    let outer = future::poll_fn(move |cx| {
        let n = ready!(inner.poll_unpin(cx))?;
        Poll::Ready(Ok::<_, String>(n + 1))
    });
    assert_eq!(block_on(outer), Ok(8));
}

#[test]
fn keep_a_task() {
    let waiting = futures::task::AtomicWaker::new();
    let once = future::poll_fn(move |cx| {
        waiting.register(cx.waker());
        waiting.wake();
        Poll::Ready(())
    });
    block_on(once);
}

#[test]
fn ask_for_a_future() {
    fn run<F: IntoFuture<Output = u32>>(f: F) -> F::IntoFuture {
        f.into_future()
    }
    assert_eq!(block_on(run(async { 7 })), 7);
}

// Values and chains.

#[test]
fn ready_at_once() {
    let future = future::ready(Ok::<u32, String>(7));
    assert_eq!(block_on(future), Ok(7));
}

#[test]
fn failed_at_once() {
    let future = future::ready(Err::<u32, String>("no".to_owned()));
    assert_eq!(block_on(future), Err("no".to_owned()));
}

#[test]
fn a_result() {
    let future = future::ready("7".parse::<u32>());
    assert_eq!(block_on(future), Ok(7));
}

#[test]
fn a_function_when_polled() {
    let future = async { "7".parse::<u32>() };
    assert_eq!(block_on(future), Ok(7));
}

#[test]
fn change_the_value() {
    let future = seven().map_ok(|n| n + 1);
    assert_eq!(block_on(future), Ok(8));
}

#[test]
fn change_the_error() {
    let future = seven().map_err(io::Error::other);
    assert_eq!(block_on(future).unwrap(), 7);
}

#[test]
fn convert_the_error() {
    let future = seven().err_into::<Box<dyn std::error::Error>>();
    assert_eq!(block_on(future).unwrap(), 7);
}

#[test]
fn go_on() {
    let future = async { twice(seven().await?).await };
    assert_eq!(block_on(future), Ok(14));
    assert_eq!(block_on(seven().and_then(twice)), Ok(14));
}

#[test]
fn recover() {
    let future = seven().or_else(|_| twice(0));
    assert_eq!(block_on(future), Ok(7));
}

#[test]
fn go_on_in_any_case() {
    let future = seven().then(|result| twice(result.unwrap_or(0)));
    assert_eq!(block_on(future), Ok(14));
}

#[test]
fn one_of_two_types() {
    let is_large = true;
    let future = if is_large {
        Either::Left(seven().map_ok(|n| n + 1))
    } else {
        Either::Right(seven())
    };
    assert_eq!(block_on(future), Ok(8));
}

#[test]
fn a_loop() {
    let future = async {
        let mut n = 1;
        while n <= 50 {
            n = twice(n).await?;
        }
        Ok::<_, String>(n)
    };
    assert_eq!(block_on(future), Ok(64));
}

#[test]
fn wait_for_both() {
    let both = futures::future::try_join(seven(), twice(4));
    assert_eq!(block_on(both), Ok((7, 8)));
}

#[test]
fn wait_for_all() {
    let all = futures::future::try_join_all(vec![twice(1), twice(2)]);
    assert_eq!(block_on(all), Ok(vec![2, 4]));
}

#[test]
fn wait_for_the_first() {
    let first = futures::future::select(seven(), future::ready(Ok(8)));
    let (n, _rest) = block_on(first).factor_first();
    assert_eq!(n, Ok(7));
}

#[test]
fn wait_for_the_first_of_two_types() {
    let first = futures::future::select(seven(), future::pending::<()>());
    let Either::Left((n, _rest)) = block_on(first) else {
        panic!("one is ready");
    };
    assert_eq!(n, Ok(7));
}

// Streams and sinks.

#[test]
fn write_a_stream() {
    struct Queue(VecDeque<u32>);
    impl Stream for Queue {
        type Item = u32;

        fn poll_next(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<u32>> {
            Poll::Ready(self.0.pop_front())
        }
    }
    let all = Queue([1, 2].into()).collect::<Vec<_>>();
    assert_eq!(block_on(all), [1, 2]);
}

#[test]
fn from_an_iterator() {
    let numbers = stream::iter([1, 2].map(Ok::<_, String>));
    assert_eq!(block_on(numbers.try_collect()), Ok(vec![1, 2]));
}

#[test]
fn the_next_item() {
    let mut numbers = numbers();
    let next = numbers.try_next();
    assert_eq!(block_on(next), Ok(Some(1)));
}

#[test]
fn for_each_item() {
    let done = numbers().try_for_each(|n| twice(n).map_ok(drop));
    assert_eq!(block_on(done), Ok(()));
}

#[test]
fn change_the_items() {
    let numbers = numbers().map_ok(|n| n + 1);
    assert_eq!(block_on(numbers.try_collect()), Ok(vec![2, 3, 4]));
}

#[test]
fn a_future_for_each_item() {
    let numbers = numbers().and_then(twice);
    assert_eq!(block_on(numbers.try_collect()), Ok(vec![2, 4, 6]));
}

#[test]
fn fold_them() {
    let sum = numbers().try_fold(0, |sum, n| async move { Ok(sum + n) });
    assert_eq!(block_on(sum), Ok(6));
}

#[test]
fn collect_them() {
    let all = numbers().try_collect::<Vec<_>>();
    assert_eq!(block_on(all), Ok(vec![1, 2, 3]));
}

#[test]
fn several_at_a_time() {
    let numbers = numbers().map_ok(twice).try_buffer_unordered(2);
    let sum = numbers.try_fold(0, |a, b| async move { Ok(a + b) });
    assert_eq!(block_on(sum), Ok(12));
}

#[test]
fn send_an_item() {
    let (mut sink, source) = mpsc::channel(1);
    let sent = sink.send(7);
    block_on(sent).unwrap();
    drop(sink);
    assert_eq!(block_on(source.collect::<Vec<_>>()), [7]);
}

#[test]
fn send_a_stream() {
    let (mut sink, source) = mpsc::channel(3);
    let mut numbers = stream::iter([1, 2]).map(Ok);
    let sent = sink.send_all(&mut numbers);
    block_on(sent).unwrap();
    drop(sink);
    assert_eq!(block_on(source.collect::<Vec<_>>()), [1, 2]);
}

#[test]
fn push_into_a_sink() {
    let (mut sink, source) = mpsc::channel(1);
    let pushed = future::poll_fn(move |cx| {
        let mut sink = Pin::new(&mut sink);
        ready!(Sink::<u32>::poll_ready(sink.as_mut(), cx))?;
        Sink::start_send(sink.as_mut(), 7)?;
        Sink::<u32>::poll_flush(sink, cx)
    });
    block_on(pushed).unwrap();
    assert_eq!(block_on(source.collect::<Vec<_>>()), [7]);
}

// Channels.

#[test]
fn one_value() {
    let (sender, receiver) = futures::channel::oneshot::channel();
    sender.send(7).unwrap();
    assert_eq!(block_on(receiver), Ok(7));
}

#[test]
fn many_values() {
    let (sender, mut receiver) = futures::channel::mpsc::unbounded();
    sender.unbounded_send(7).unwrap();
    let first = block_on(receiver.next());
    assert_eq!(first, Some(7));
}
