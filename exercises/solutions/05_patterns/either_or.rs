// `select` hands the loser back, so it is not lost: the caller may poll it or drop it. The error of
// a `select` has the loser, too. Here the first result counts even if it is an error, so we drop
// it.

use futures::Future;
use kvs::KvsError;
use kvs::client::anon::KvsClient;

fn main() {
    let addr = ([127, 0, 0, 1], 4000).into();
    let near = KvsClient::connect(addr).and_then(|mut client| client.get("color".to_owned()));
    let far = KvsClient::connect(addr).and_then(|mut client| client.get("color".to_owned()));
    match first_of(near, far).wait() {
        Ok((color, agrees)) => println!("{color:?}, and both agree: {:?}", agrees.wait()),
        Err(error) => println!("Start a server with `kvs-server`: {error}"),
    }
}

type Value = Option<String>;

/// Resolves to the first answer, and to a future for the comparison. That one resolves to whether
/// the other answer is the same.
fn first_of(
    near: impl Future<Item = Value, Error = KvsError>,
    far: impl Future<Item = Value, Error = KvsError>,
) -> impl Future<Item = (Value, impl Future<Item = bool, Error = KvsError>), Error = KvsError> {
    near.select(far)
        .map(|(first, other)| {
            // The comparison outlives this closure, so it needs an answer of its own.
            let expected = first.clone();
            (first, other.map(move |other| other == expected))
        })
        .map_err(|(error, _loser)| error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::Async;
    use support::{Requests, Task, refused, serve, within_time};

    fn red() -> Value {
        Some("red".to_owned())
    }

    /// Answers the request of `first`, and returns the future for the comparison.
    fn answered(
        requests: &Requests<Value>,
        first: &str,
    ) -> impl Future<Item = bool, Error = KvsError> + use<> {
        let mut task = Task::new(first_of(requests.make("near"), requests.make("far")));
        task.expect_not_ready();
        requests.answer(first, Ok(red()));
        assert!(
            task.wakes() > 0,
            "the server `{first}` has answered, and no wake-up came: poll both futures"
        );
        match task.poll() {
            Ok(Async::Ready((value, agrees))) => {
                assert_eq!(value, red(), "the first answer");
                agrees
            }
            Ok(Async::NotReady) => panic!("`{first}` has answered: do not wait for the other one"),
            Err(error) => panic!("it failed: {error}"),
        }
    }

    #[test]
    fn the_faster_answer_wins() {
        within_time(|| {
            drop(answered(&Requests::new(), "near"));
            drop(answered(&Requests::new(), "far"));
        });
    }

    #[test]
    fn the_other_future_is_kept() {
        within_time(|| {
            let requests = Requests::new();
            let agrees = answered(&requests, "near");
            assert_eq!(
                requests.running(),
                1,
                "requests that still run: return the other future, do not drop it"
            );
            let mut agrees = Task::new(agrees);
            assert!(
                matches!(agrees.poll(), Ok(Async::NotReady)),
                "`far` has not answered, so there is no comparison yet"
            );
            requests.answer("far", Ok(red()));
            assert!(agrees.finish().unwrap(), "both answers are the same");
        });
    }

    #[test]
    fn two_answers_that_differ_are_noticed() {
        within_time(|| {
            let requests = Requests::new();
            let agrees = answered(&requests, "far");
            requests.answer("near", Ok(None));
            let agrees = Task::new(agrees).finish().unwrap();
            assert!(!agrees, "the answers are `red` and nothing");
        });
    }

    #[test]
    fn an_error_counts_as_an_answer() {
        within_time(|| {
            let requests = Requests::new();
            let mut task = Task::new(first_of(requests.make("near"), requests.make("far")));
            task.expect_not_ready();
            requests.answer("far", Err(refused()));
            assert!(
                matches!(task.poll(), Err(KvsError::Connect { .. })),
                "the first result is an error, and it wins"
            );
        });
    }

    #[test]
    fn it_works_with_servers() {
        within_time(|| {
            let (_dir, server) = serve();
            let mut near = KvsClient::connect(server.addr).wait().unwrap();
            let mut far = KvsClient::connect(server.addr).wait().unwrap();
            near.set("color".to_owned(), "red".to_owned())
                .wait()
                .unwrap();
            let get = first_of(near.get("color".to_owned()), far.get("color".to_owned()));
            let (color, agrees) = get.wait().unwrap();
            assert_eq!(color, red(), "the first answer");
            assert!(agrees.wait().unwrap(), "both servers have the same value");
        });
    }
}
