//! A task whose panic does not harm other tasks.

use std::panic::{self, AssertUnwindSafe};

use futures::{Async, Future, Poll};

/// A task that ends if it panics. Dropping the task is guarded as well, because it may call an
/// engine or an executor that panics.
///
/// The combinators for this, `AssertUnwindSafe` and `catch_unwind`, would move the task at each
/// poll.
pub(crate) struct Guarded<T>(Option<T>);

impl<T> Guarded<T> {
    pub(crate) fn new(task: T) -> Guarded<T> {
        Guarded(Some(task))
    }
}

impl<T: Future<Item = (), Error = ()>> Future for Guarded<T> {
    type Item = ();
    type Error = ();

    fn poll(&mut self) -> Poll<(), ()> {
        let task = &mut self.0;
        let poll = || match task {
            Some(task) => task.poll(),
            None => Ok(Async::Ready(())),
        };
        if let Ok(Ok(Async::NotReady)) = panic::catch_unwind(AssertUnwindSafe(poll)) {
            return Ok(Async::NotReady);
        }
        // The panic hook has reported a panic of either call.
        let _ = panic::catch_unwind(AssertUnwindSafe(|| self.0 = None));
        Ok(Async::Ready(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct PanicsOnDrop;

    impl Drop for PanicsOnDrop {
        fn drop(&mut self) {
            panic!("as it should");
        }
    }

    impl Future for PanicsOnDrop {
        type Item = ();
        type Error = ();

        fn poll(&mut self) -> Poll<(), ()> {
            Ok(Async::Ready(()))
        }
    }

    #[test]
    fn a_panic_ends_the_task_and_nothing_else() {
        let panics = futures::future::lazy(|| -> Result<(), ()> { panic!("as it should") });
        assert_eq!(Guarded::new(panics).poll(), Ok(Async::Ready(())));
        assert_eq!(Guarded::new(PanicsOnDrop).poll(), Ok(Async::Ready(())));
    }
}
