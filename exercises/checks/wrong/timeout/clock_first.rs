//! Fails: a_result_that_is_there_is_not_lost: the result and the end of the time are there

use std::io;
use std::time::{Duration, Instant};

use futures::{Async, Future, Poll, future, try_ready};
use tokio::timer::{self, Delay};

fn main() {
    let request = future::empty::<(), io::Error>();
    let clock = Delay::new(Instant::now() + Duration::from_millis(50));
    let limited = Limited {
        request: Some(request),
        clock,
    };
    let mut runtime = tokio::runtime::Runtime::new().unwrap();
    match runtime.block_on(limited) {
        Ok(()) => println!("done"),
        Err(LimitError::Elapsed(_request)) => println!("the time is over, the request is here"),
        Err(LimitError::Inner(error)) => println!("the request failed: {error}"),
        Err(LimitError::Timer(error)) => println!("the clock failed: {error}"),
    }
}

struct Limited<F, C> {
    /// `None` after the end.
    request: Option<F>,
    clock: C,
}

#[derive(Debug)]
enum LimitError<F, E> {
    /// The time is over. This is the request.
    Elapsed(F),
    /// The request failed.
    Inner(E),
    /// The clock failed.
    Timer(timer::Error),
}

impl<F, C> Future for Limited<F, C>
where
    F: Future,
    C: Future<Item = (), Error = timer::Error>,
{
    type Item = F::Item;
    type Error = LimitError<F, F::Error>;

    fn poll(&mut self) -> Poll<F::Item, Self::Error> {
        let request = self.request.as_mut().expect("polled after completion");
        if self.clock.poll().map_err(LimitError::Timer)?.is_ready() {
            return Err(LimitError::Elapsed(self.request.take().unwrap()));
        }
        request.poll().map_err(LimitError::Inner)
    }
}
