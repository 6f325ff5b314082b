// `select2` polls both futures in each poll, so each of them has registered the task. It gives back
// the loser, and the match drops it: to cancel the request is to drop it. No code has to repair the
// connection. The client discards the late reply, and the next request gets its own.
//
// Both an item and an error of `stop` mean that the program should not wait any longer.

use futures::Future;
use futures::future::Either;
use futures::sync::oneshot;
use kvs::KvsError;
use kvs::client::anon::KvsClient;

fn main() {}

/// How a request has ended.
#[derive(Debug, PartialEq)]
enum Ended {
    Value(Option<String>),
    Stopped,
}

/// Resolves to the value of `key`, or to `Stopped` if `stop` completes first.
fn get_unless_stopped(
    client: &mut KvsClient,
    key: &str,
    stop: oneshot::Receiver<()>,
) -> impl Future<Item = Ended, Error = KvsError> + use<> {
    let get = client.get(key.to_owned());
    get.select2(stop).then(|first| match first {
        Ok(Either::A((value, _stop))) => Ok(Ended::Value(value)),
        Err(Either::A((error, _stop))) => Err(error),
        Ok(Either::B(_)) | Err(Either::B(_)) => Ok(Ended::Stopped),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::Async;
    use std::sync::mpsc;
    use support::harness::Script;
    use support::{Task, serve, within_time};

    /// Returns a server that answers when it is told to, and the sender that tells it.
    fn answers_when_told(replies: &'static [&'static str]) -> (mpsc::Sender<()>, Script) {
        let (tell, told) = mpsc::channel::<()>();
        let script = Script::start(move |mut peer| {
            for reply in replies {
                peer.receive();
                if told.recv().is_err() {
                    return;
                }
                peer.send(reply);
            }
        });
        (tell, script)
    }

    #[test]
    fn a_value_arrives() {
        within_time(|| {
            let (_dir, server) = serve();
            let mut client = KvsClient::connect(server.addr).wait().unwrap();
            let set = client.set("key".to_owned(), "value".to_owned());
            set.wait().unwrap();
            let (_button, stop) = oneshot::channel();
            let ended = get_unless_stopped(&mut client, "key", stop).wait();
            let value = Some("value".to_owned());
            assert_eq!(
                ended.unwrap(),
                Ended::Value(value),
                "the user did not press stop"
            );
        });
    }

    #[test]
    fn an_error_stays_an_error() {
        within_time(|| {
            let (tell, script) = answers_when_told(&[r#""Set""#]);
            tell.send(()).unwrap();
            let mut client = KvsClient::connect(script.addr).wait().unwrap();
            let (_button, stop) = oneshot::channel();
            let ended = get_unless_stopped(&mut client, "key", stop).wait();
            assert!(ended.is_err(), "a wrong reply is an error, but: {ended:?}");
        });
    }

    #[test]
    fn the_user_can_stop() {
        within_time(|| {
            let (_tell, script) = answers_when_told(&[r#"{"Get":"late"}"#]);
            let mut client = KvsClient::connect(script.addr).wait().unwrap();
            let (button, stop) = oneshot::channel();
            let mut task = Task::new(get_unless_stopped(&mut client, "key", stop));
            task.expect_not_ready();
            let _ = button.send(());
            assert_ne!(
                task.wakes(),
                0,
                "stop was pressed, but the task was not woken"
            );
            let ended = task.poll().unwrap();
            assert_eq!(
                ended,
                Async::Ready(Ended::Stopped),
                "after stop was pressed"
            );
        });
    }

    #[test]
    fn a_button_that_is_gone_stops_too() {
        within_time(|| {
            let (_tell, script) = answers_when_told(&[r#"{"Get":"late"}"#]);
            let mut client = KvsClient::connect(script.addr).wait().unwrap();
            let (button, stop) = oneshot::channel();
            let mut task = Task::new(get_unless_stopped(&mut client, "key", stop));
            task.expect_not_ready();
            drop(button);
            let ended = task.poll().unwrap();
            assert_eq!(
                ended,
                Async::Ready(Ended::Stopped),
                "after the button has gone"
            );
        });
    }

    #[test]
    fn the_next_request_gets_its_own_reply() {
        within_time(|| {
            let (tell, script) = answers_when_told(&[r#"{"Get":"late"}"#, r#"{"Get":"own"}"#]);
            let mut client = KvsClient::connect(script.addr).wait().unwrap();
            let (button, stop) = oneshot::channel();
            let mut task = Task::new(get_unless_stopped(&mut client, "a", stop));
            task.expect_not_ready();
            let _ = button.send(());
            let ended = task.poll().unwrap();
            assert_eq!(
                ended,
                Async::Ready(Ended::Stopped),
                "after stop was pressed"
            );
            drop(task);

            let next = client.get("b".to_owned());
            tell.send(()).unwrap();
            tell.send(()).unwrap();
            let next = Task::new(next).finish().unwrap();
            assert_eq!(
                next.as_deref(),
                Some("own"),
                "the reply to the next request"
            );
        });
    }
}
