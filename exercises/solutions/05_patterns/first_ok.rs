// Every future in the `Vec` is pending when `poll` returns `NotReady`, and each has been polled in
// this call. So each of them has arranged a wake-up, and none is polled after its end.

use futures::{Async, Future, Poll};
use kvs::client::anon::KvsClient;

fn main() {
    let ports = [1, 2, 4000];
    let connects = ports.map(|port| KvsClient::connect(([127, 0, 0, 1], port).into()));
    match FirstOk(connects.into()).wait() {
        Ok(_client) => println!("connected"),
        Err(error) => println!("no server, and the last error is: {error}"),
    }
}

struct FirstOk<F>(Vec<F>);

impl<F: Future> Future for FirstOk<F> {
    type Item = F::Item;
    type Error = F::Error;

    fn poll(&mut self) -> Poll<F::Item, F::Error> {
        // Without this, an empty `Vec` would return `NotReady`, and nothing would ever wake the
        // task.
        assert!(!self.0.is_empty(), "no futures, or polled after completion");
        let mut n = 0;
        while n < self.0.len() {
            match self.0[n].poll() {
                Ok(Async::NotReady) => n += 1,
                Ok(Async::Ready(item)) => {
                    self.0.clear();
                    return Ok(Async::Ready(item));
                }
                Err(error) => {
                    // The next future moves to this place, so `n` stays as it is.
                    drop(self.0.remove(n));
                    if self.0.is_empty() {
                        return Err(error);
                    }
                }
            }
        }
        Ok(Async::NotReady)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use support::{Request, Requests, Task, common::NOBODY, serve, within_time};

    type Get = Request<u32, &'static str>;

    fn three() -> (Requests<u32, &'static str>, Task<FirstOk<Get>>) {
        let requests = Requests::new();
        let futures = ["0", "1", "2"].map(|name| requests.make(name));
        (requests, Task::new(FirstOk(futures.into())))
    }

    #[test]
    fn the_first_item_wins() {
        within_time(|| {
            for name in ["0", "1", "2"] {
                let (requests, mut task) = three();
                task.expect_not_ready();
                requests.answer(name, Ok(7));
                assert!(
                    task.wakes() > 0,
                    "request {name} is ready, and no wake-up came: poll all that you wait for"
                );
                let result = task.poll();
                assert_eq!(result, Ok(Async::Ready(7)), "request {name} is ready");
            }
        });
    }

    #[test]
    fn a_failed_future_is_removed() {
        within_time(|| {
            let (requests, mut task) = three();
            task.expect_not_ready();
            requests.answer("1", Err("busy"));
            assert_eq!(
                task.poll(),
                Ok(Async::NotReady),
                "one has failed, and two may still succeed"
            );
            task.expect_not_ready(); // a failed future in the `Vec` would be polled again
            requests.answer("0", Err("busy"));
            task.expect_not_ready();
            requests.answer("2", Ok(7));
            assert_eq!(task.poll(), Ok(Async::Ready(7)), "the last one is ready");
        });
    }

    #[test]
    fn an_error_does_not_hide_the_others() {
        within_time(|| {
            for failing in ["0", "1", "2"] {
                let (requests, mut task) = three();
                requests.answer(failing, Err("busy"));
                task.expect_not_ready();
                let mut sent = requests.sent();
                sent.sort();
                assert_eq!(
                    sent,
                    ["0", "1", "2"],
                    "the futures that were polled when future {failing} fails at once: poll the \
                     others in the same call"
                );
            }
        });
    }

    #[test]
    fn an_item_is_handed_out_although_others_fail_in_the_same_poll() {
        within_time(|| {
            let (requests, mut task) = three();
            requests.answer("0", Err("busy"));
            requests.answer("1", Err("busy"));
            requests.answer("2", Ok(7));
            assert_eq!(
                task.poll(),
                Ok(Async::Ready(7)),
                "two have failed, the last one is ready"
            );
        });
    }

    #[test]
    fn if_all_fail_the_last_error_is_the_error() {
        within_time(|| {
            let (requests, mut task) = three();
            for (name, error) in [("2", "first"), ("0", "second"), ("1", "third")] {
                task.expect_not_ready();
                requests.answer(name, Err(error));
            }
            assert_eq!(task.poll(), Err("third"), "the error that came last");
        });
    }

    #[test]
    fn it_connects_to_the_server_that_is_there() {
        within_time(|| {
            let (_dir, server) = serve();
            let connects = [NOBODY, NOBODY, server.addr].map(KvsClient::connect);
            let mut client = FirstOk(connects.into()).wait().unwrap();
            assert_eq!(client.get("color".to_owned()).wait().unwrap(), None);
        });
    }
}
