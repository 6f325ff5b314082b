//! futures 0.1 and tokio 0.1.

mod running;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::time::Duration;

use futures::future::{self, Either, Loop};
use futures::sync::mpsc;
use futures::task;
use futures::{Async, AsyncSink, Future, IntoFuture, Poll, Sink, Stream, stream, try_ready};

/// The future of most tests.
fn seven() -> future::FutureResult<u32, String> {
    future::ok(7)
}

fn twice(n: u32) -> future::FutureResult<u32, String> {
    future::ok(2 * n)
}

fn numbers() -> impl Stream<Item = u32, Error = String> {
    stream::iter_ok([1, 2, 3])
}

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

// Futures.

#[test]
fn return_one() {
    fn read() -> impl Future<Item = u32, Error = io::Error> {
        future::ok(7)
    }
    assert_eq!(read().wait().unwrap(), 7);
}

#[test]
fn return_one_in_a_box() {
    fn read() -> Box<dyn Future<Item = u32, Error = io::Error> + Send> {
        Box::new(future::ok(7))
    }
    assert_eq!(read().wait().unwrap(), 7);
}

#[test]
fn write_one() {
    struct Seven;
    impl Future for Seven {
        type Item = u32;
        type Error = Infallible;

        fn poll(&mut self) -> Poll<u32, Infallible> {
            Ok(Async::Ready(7))
        }
    }
    assert_eq!(Seven.wait(), Ok(7));
}

#[test]
fn write_one_as_a_closure() {
    let seven = future::poll_fn(|| Ok::<_, String>(Async::Ready(7)));
    assert_eq!(seven.wait(), Ok(7));
}

#[test]
fn not_yet() {
    let mut polls = 0;
    let seven = future::poll_fn(move || {
        polls += 1;
        if polls == 1 {
            let task = task::current();
            task.notify();
            return Ok(Async::NotReady);
        }
        Ok::<_, String>(Async::Ready(7))
    });
    assert_eq!(seven.wait(), Ok(7));
}

#[test]
fn only_if_it_is_ready() {
    let mut inner = seven();
    let outer = future::poll_fn(move || {
        let n = try_ready!(inner.poll());
        Ok::<_, String>(Async::Ready(n + 1))
    });
    assert_eq!(outer.wait(), Ok(8));
}

#[test]
fn keep_a_task() {
    let waiting = futures::task::AtomicTask::new();
    let once = future::poll_fn(move || {
        waiting.register();
        waiting.notify();
        Ok::<_, String>(Async::Ready(()))
    });
    assert_eq!(once.wait(), Ok(()));
}

#[test]
fn ask_for_a_future() {
    fn run<F: IntoFuture<Item = u32>>(f: F) -> F::Future {
        f.into_future()
    }
    assert_eq!(run(seven()).wait(), Ok(7));
}

// Values and chains.

#[test]
fn ready_at_once() {
    let future = future::ok::<u32, String>(7);
    assert_eq!(future.wait(), Ok(7));
}

#[test]
fn failed_at_once() {
    let future = future::err::<u32, String>("no".to_owned());
    assert_eq!(future.wait(), Err("no".to_owned()));
}

#[test]
fn a_result() {
    let future = future::result("7".parse::<u32>());
    assert_eq!(future.wait(), Ok(7));
}

#[test]
fn a_function_when_polled() {
    let future = future::lazy(|| "7".parse::<u32>());
    assert_eq!(future.wait(), Ok(7));
}

#[test]
fn change_the_value() {
    let future = seven().map(|n| n + 1);
    assert_eq!(future.wait(), Ok(8));
}

#[test]
fn change_the_error() {
    let future = seven().map_err(io::Error::other);
    assert_eq!(future.wait().unwrap(), 7);
}

#[test]
fn convert_the_error() {
    let future = seven().from_err::<Box<dyn std::error::Error>>();
    assert_eq!(future.wait().unwrap(), 7);
}

#[test]
fn go_on() {
    let future = seven().and_then(twice);
    assert_eq!(future.wait(), Ok(14));
}

#[test]
fn recover() {
    let future = seven().or_else(|_| twice(0));
    assert_eq!(future.wait(), Ok(7));
}

#[test]
fn go_on_in_any_case() {
    let future = seven().then(|result| twice(result.unwrap_or(0)));
    assert_eq!(future.wait(), Ok(14));
}

#[test]
fn one_of_two_types() {
    let is_large = true;
    let future = if is_large {
        Either::A(seven().map(|n| n + 1))
    } else {
        Either::B(seven())
    };
    assert_eq!(future.wait(), Ok(8));
}

#[test]
fn a_loop() {
    let future = future::loop_fn(1, |n| {
        twice(n).map(|n| {
            if n > 50 {
                Loop::Break(n)
            } else {
                Loop::Continue(n)
            }
        })
    });
    assert_eq!(future.wait(), Ok(64));
}

#[test]
fn wait_for_both() {
    let both = seven().join(twice(4));
    assert_eq!(both.wait(), Ok((7, 8)));
}

#[test]
fn wait_for_all() {
    let all = future::join_all(vec![twice(1), twice(2)]);
    assert_eq!(all.wait(), Ok(vec![2, 4]));
}

#[test]
fn wait_for_the_first() {
    let first = seven().select(twice(4));
    let Ok((n, _rest)) = first.wait() else {
        panic!("one is ready");
    };
    assert_eq!(n, 7);
}

#[test]
fn wait_for_the_first_of_two_types() {
    let first = seven().select2(future::empty::<(), ()>());
    let Ok(Either::A((n, _rest))) = first.wait() else {
        panic!("one is ready");
    };
    assert_eq!(n, 7);
}

// Streams and sinks.

#[test]
fn write_a_stream() {
    struct Queue(VecDeque<u32>);
    impl Stream for Queue {
        type Item = u32;
        type Error = String;

        fn poll(&mut self) -> Poll<Option<u32>, String> {
            Ok(Async::Ready(self.0.pop_front()))
        }
    }
    assert_eq!(Queue([1, 2].into()).collect().wait(), Ok(vec![1, 2]));
}

#[test]
fn from_an_iterator() {
    let numbers = stream::iter_ok::<_, String>([1, 2]);
    assert_eq!(numbers.collect().wait(), Ok(vec![1, 2]));
}

#[test]
fn the_next_item() {
    let next = numbers().into_future().map(|(item, _rest)| item);
    assert_eq!(next.wait().map_err(|(error, _)| error), Ok(Some(1)));
}

#[test]
fn for_each_item() {
    let done = numbers().for_each(|n| twice(n).map(drop));
    assert_eq!(done.wait(), Ok(()));
}

#[test]
fn change_the_items() {
    let numbers = numbers().map(|n| n + 1);
    assert_eq!(numbers.collect().wait(), Ok(vec![2, 3, 4]));
}

#[test]
fn a_future_for_each_item() {
    let numbers = numbers().and_then(twice);
    assert_eq!(numbers.collect().wait(), Ok(vec![2, 4, 6]));
}

#[test]
fn fold_them() {
    let sum = numbers().fold(0, |sum, n| future::ok::<_, String>(sum + n));
    assert_eq!(sum.wait(), Ok(6));
}

#[test]
fn collect_them() {
    let all = numbers().collect();
    assert_eq!(all.wait(), Ok(vec![1, 2, 3]));
}

#[test]
fn several_at_a_time() {
    let numbers = numbers().map(twice).buffer_unordered(2);
    assert_eq!(
        numbers.fold(0, |a, b| twice(0).map(move |_| a + b)).wait(),
        Ok(12)
    );
}

#[test]
fn send_an_item() {
    let (sink, source) = mpsc::channel(1);
    let sent = sink.send(7);
    drop(sent.wait().unwrap());
    assert_eq!(source.collect().wait(), Ok(vec![7]));
}

#[test]
fn send_a_stream() {
    let (sink, source) = mpsc::channel(3);
    let numbers = stream::iter_ok::<_, mpsc::SendError<u32>>([1, 2]);
    let sent = sink.send_all(numbers);
    drop(sent.wait().unwrap());
    assert_eq!(source.collect().wait(), Ok(vec![1, 2]));
}

#[test]
fn push_into_a_sink() {
    let (mut sink, source) = mpsc::channel(1);
    let pushed = future::poll_fn(move || match sink.start_send(7)? {
        AsyncSink::Ready => sink.poll_complete(),
        AsyncSink::NotReady(_item) => Ok(Async::NotReady),
    });
    pushed.wait().unwrap();
    assert_eq!(source.collect().wait(), Ok(vec![7]));
}

// Channels.

#[test]
fn one_value() {
    let (sender, receiver) = futures::sync::oneshot::channel();
    sender.send(7).unwrap();
    assert_eq!(receiver.wait(), Ok(7));
}

#[test]
fn many_values() {
    let (sender, receiver) = futures::sync::mpsc::unbounded();
    sender.unbounded_send(7).unwrap();
    let (first, _rest) = receiver.into_future().wait().unwrap();
    assert_eq!(first, Some(7));
}
