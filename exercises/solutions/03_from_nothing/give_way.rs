// After `STEPS` numbers, the future asks for its next poll itself, because it waits for nothing that
// could wake it. The executor puts the task at the end of its queue, behind the others.

use std::convert::Infallible;

use futures::{Async, Future, Poll, task};

fn main() {}

/// The numbers that one poll may add.
const STEPS: usize = 100;

/// Resolves to the sum of all numbers.
struct Sum<I> {
    numbers: I,
    sum: u64,
}

impl<I: Iterator<Item = u64>> Future for Sum<I> {
    type Item = u64;
    type Error = Infallible;

    fn poll(&mut self) -> Poll<u64, Infallible> {
        for _ in 0..STEPS {
            let Some(number) = self.numbers.next() else {
                return Ok(Async::Ready(self.sum));
            };
            self.sum += number;
        }
        // There may be work left. Without this, the task would sleep forever.
        task::current().notify();
        Ok(Async::NotReady)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::rc::Rc;
    use support::{Task, within_time};

    const COUNT: usize = 1000;

    /// The numbers from 1 to `COUNT`. Counts how many of them were taken.
    fn numbers(taken: &Rc<Cell<usize>>) -> Sum<impl Iterator<Item = u64> + use<>> {
        let taken = Rc::clone(taken);
        let numbers = (1..=COUNT).map(move |number| {
            taken.set(number);
            u64::try_from(number).unwrap()
        });
        Sum { numbers, sum: 0 }
    }

    #[test]
    fn a_poll_adds_a_part_of_the_numbers() {
        within_time(|| {
            let taken = Rc::<Cell<usize>>::default();
            let mut task = Task::new(numbers(&taken));
            for poll in 1..=COUNT / STEPS {
                let before = taken.get();
                let is_ready = task.poll().unwrap().is_ready();
                let steps = taken.get() - before;
                assert!(
                    steps <= STEPS,
                    "poll {poll} has added {steps} numbers, and the other tasks starve meanwhile"
                );
                assert_eq!(steps, STEPS, "numbers that poll {poll} has added");
                assert!(!is_ready || taken.get() == COUNT, "numbers are left");
            }
        });
    }

    #[test]
    fn it_asks_for_the_next_poll_while_there_is_work() {
        within_time(|| {
            let taken = Rc::<Cell<usize>>::default();
            let mut task = Task::new(numbers(&taken));
            let mut wakes = 0;
            let sum = loop {
                if let Async::Ready(sum) = task.poll().unwrap() {
                    break sum;
                }
                wakes += 1;
                assert_eq!(
                    task.wakes(),
                    wakes,
                    "wake-ups after poll {wakes}: with work left and nothing to wait for, \
                     the future wakes its own task"
                );
            };
            assert_eq!(sum, 500_500, "the sum");
            assert_eq!(
                task.wakes(),
                wakes,
                "woken although the sum is ready: the next poll would come after the end"
            );
        });
    }

    #[test]
    fn a_short_sum_needs_one_poll() {
        within_time(|| {
            let mut task = Task::new(Sum {
                numbers: [1, 2, 3].into_iter(),
                sum: 0,
            });
            assert_eq!(task.poll(), Ok(Async::Ready(6)), "the sum");
            assert_eq!(task.wakes(), 0, "woken although the sum is ready");
        });
    }
}
