//! Tests against a server whose bytes the test writes.

use std::io::{ErrorKind, Read, Write};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use futures::{Future, future};
use kvs::client::{IN_FLIGHT, QUEUE};
use kvs::protocol::{ErrorCode, Kind, MAX_FRAME_LEN};
use kvs::{ConnectionError, KvsError};
use tokio::timer::Timeout;

use super::{Client, GET_K, Script, Task, connect, get_k, patience, wait};
use crate::common::{NOBODY, Wire, frame, is_kept_alive};

/// Returns the cause of a broken connection, from the result of a request.
pub fn cause<T: std::fmt::Debug>(result: Result<T, KvsError>) -> ConnectionError {
    match result {
        Err(KvsError::Connection { cause, .. }) => cause,
        other => panic!("expected a broken connection, got {other:?}"),
    }
}

pub fn requests_are_the_documented_bytes<C: Client>() {
    let script = Script::start(|mut peer| {
        for (request, reply) in [
            (GET_K, r#"{"Get":null}"#),
            (r#"{"Set":{"key":"k","value":"\"ü\n"}}"#, r#""Set""#),
            (r#"{"Remove":{"key":"k"}}"#, r#""Remove""#),
        ] {
            let mut bytes = vec![0; 4 + request.len()];
            peer.0.read_exact(&mut bytes).unwrap();
            assert_eq!(String::from_utf8(bytes), String::from_utf8(frame(request)));
            peer.send(reply);
        }
        peer.expect_end();
    });
    let mut client = connect::<C>(script.addr);
    assert_eq!(wait(get_k(&mut client)).unwrap(), None);
    wait(client.set("k".to_owned(), "\"ü\n".to_owned())).unwrap();
    wait(client.remove("k".to_owned())).unwrap();
    drop(client);
    script.finish();
}

pub fn requests_that_wait_together_are_sent_together<C: Client>() {
    let script = Script::start(|mut peer| {
        let expected = frame(GET_K).repeat(20);
        let mut bytes = vec![0; 2 * expected.len()];
        let n = peer.0.read(&mut bytes).unwrap();
        assert!(bytes[..n] == expected, "the first packet has {n} bytes");
        for _ in 0..20 {
            peer.send(r#"{"Get":"v"}"#);
        }
    });
    // On a runtime of one thread, the connection's task runs after all of them have been polled.
    let mut runtime = tokio::runtime::current_thread::Runtime::new().unwrap();
    let gets = C::connect(script.addr).and_then(|mut client| {
        let gets = (0..20).map(|_| get_k(&mut client));
        future::join_all(gets.collect::<Vec<_>>())
    });
    runtime.block_on(Timeout::new(gets, patience())).unwrap();
    script.finish();
}

pub fn a_reply_may_arrive_one_byte_at_a_time<C: Client>() {
    let script = Script::start(|mut peer| {
        for _ in 0..3 {
            assert_eq!(peer.receive(), GET_K);
            for byte in frame(r#"{"Get":"v"}"#) {
                peer.0.write_all(&[byte]).unwrap();
            }
        }
    });
    let mut client = connect::<C>(script.addr);
    for _ in 0..3 {
        assert_eq!(wait(get_k(&mut client)).unwrap().as_deref(), Some("v"));
    }
    script.finish();
}

pub fn many_replies_may_arrive_at_once<C: Client>() {
    let script = Script::start(|mut peer| {
        let mut replies = Vec::new();
        for n in 0..QUEUE {
            assert_eq!(peer.receive(), GET_K);
            replies.extend(frame(format!(r#"{{"Get":"{n}"}}"#)));
        }
        peer.0.write_all(&replies).unwrap();
    });
    let mut client = connect::<C>(script.addr);
    // No more than the queue has room for: a request that waits for room may be overtaken.
    let gets = (0..QUEUE).map(|_| get_k(&mut client));
    let values = wait(future::join_all(gets.collect::<Vec<_>>())).unwrap();
    for (n, value) in values.into_iter().enumerate() {
        assert_eq!(value, Some(n.to_string()));
    }
    script.finish();
}

pub fn a_close_at_any_byte_of_a_reply_is_an_error<C: Client>() {
    let reply = frame(r#"{"Get":"v"}"#);
    for cut in 0..reply.len() {
        let part = reply[..cut].to_vec();
        let script = Script::start(move |mut peer| {
            assert_eq!(peer.receive(), GET_K);
            peer.0.write_all(&part).unwrap();
        });
        let mut client = connect::<C>(script.addr);
        match (cut, cause(wait(get_k(&mut client)))) {
            (0, ConnectionError::Closed) | (1.., ConnectionError::Truncated) => {}
            (cut, other) => panic!("closed after {cut} bytes: {other:?}"),
        }
        script.finish();
    }
}

pub fn a_close_without_a_pending_request_fails_the_next_request<C: Client>() {
    let script = Script::start(drop);
    let mut client = connect::<C>(script.addr);
    script.finish();
    match cause(wait(get_k(&mut client))) {
        ConnectionError::Closed => {}
        // The client sent the request before it learned of the close.
        ConnectionError::Io(error)
            if matches!(
                error.kind(),
                ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
            ) => {}
        other => panic!("{other:?}"),
    }
}

/// Sends `reply` to a `get`. Returns the errors of that request and of the next one.
fn answered_with<C: Client>(reply: Vec<u8>) -> [ConnectionError; 2] {
    let script = Script::start(move |mut peer| {
        assert_eq!(peer.receive(), GET_K);
        peer.0.write_all(&reply).unwrap();
        peer.expect_end();
    });
    let mut client = connect::<C>(script.addr);
    let first = cause(wait(get_k(&mut client)));
    let second = cause(wait(get_k(&mut client)));
    drop(client);
    script.finish();
    [first, second]
}

pub fn a_reply_that_is_not_json_is_an_error<C: Client>() {
    let unclear: [&[u8]; 6] = [
        b"",
        b"{",
        b"\"Get\"",
        b"{\"Get\":1}",
        b"{\"Got\":\"v\"}",
        b"\"\xff\"",
    ];
    for body in unclear {
        for cause in answered_with::<C>(frame(body)) {
            assert!(matches!(cause, ConnectionError::BadFrame(_)), "{cause:?}");
        }
    }
}

pub fn a_reply_of_the_wrong_kind_is_an_error<C: Client>() {
    for (reply, kind) in [(r#""Set""#, Kind::Set), (r#""Remove""#, Kind::Remove)] {
        for cause in answered_with::<C>(frame(reply)) {
            let ConnectionError::WrongReply { expected, got } = cause else {
                panic!("{cause:?}");
            };
            assert_eq!((expected, got), (Kind::Get, kind));
        }
    }
}

pub fn a_reply_over_the_limit_is_an_error<C: Client>() {
    for len in [MAX_FRAME_LEN as u32 + 1, u32::MAX] {
        for cause in answered_with::<C>(len.to_be_bytes().to_vec()) {
            let ConnectionError::FrameTooLong { len: found, .. } = cause else {
                panic!("{cause:?}");
            };
            assert_eq!(found, len as usize);
        }
    }
}

/// Sends `stray`, a reply without a request. Returns the errors of the next two requests.
fn after_a_stray_reply<C: Client>(stray: &'static str) -> [ConnectionError; 2] {
    let (sent, is_sent) = mpsc::channel();
    let script = Script::start(move |mut peer| {
        assert_eq!(peer.receive(), GET_K);
        let mut replies = frame(r#"{"Get":"v"}"#);
        replies.extend(frame(stray));
        peer.0.write_all(&replies).unwrap();
        sent.send(()).unwrap();
        peer.expect_end();
    });
    let mut client = connect::<C>(script.addr);
    assert_eq!(wait(get_k(&mut client)).unwrap().as_deref(), Some("v"));
    is_sent.recv().unwrap();
    let causes = [(); 2].map(|()| cause(wait(get_k(&mut client))));
    drop(client);
    script.finish();
    causes
}

pub fn a_reply_without_a_request_is_an_error<C: Client>() {
    for cause in after_a_stray_reply::<C>(r#"{"Get":"too many"}"#) {
        assert!(
            matches!(cause, ConnectionError::UnexpectedReply),
            "{cause:?}"
        );
    }
}

pub fn the_last_error_of_the_server_is_the_cause<C: Client>() {
    for cause in after_a_stray_reply::<C>(r#"{"Err":{"code":"overloaded","message":"later"}}"#) {
        let ConnectionError::Dismissed { code, message } = cause else {
            panic!("{cause:?}");
        };
        assert_eq!((code, &*message), (ErrorCode::Overloaded, "later"));
    }
}

pub fn an_unknown_code_keeps_code_and_message_and_the_connection_continues<C: Client>() {
    let script = Script::start(|mut peer| {
        assert_eq!(peer.receive(), GET_K);
        peer.send(r#"{"Err":{"code":"teapot","message":"short and stout"}}"#);
        assert_eq!(peer.receive(), GET_K);
        peer.send(r#"{"Get":"v"}"#);
    });
    let mut client = connect::<C>(script.addr);
    match wait(get_k(&mut client)) {
        Err(KvsError::Server { code, message }) => {
            assert_eq!((code.as_str(), &*message), ("teapot", "short and stout"));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(wait(get_k(&mut client)).unwrap().as_deref(), Some("v"));
    script.finish();
}

pub fn a_refused_connection_is_an_error_with_the_address<C: Client>() {
    let error = wait(C::connect(NOBODY))
        .err()
        .expect("no server listens there");
    assert!(
        matches!(error, KvsError::Connect { addr: NOBODY, .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains(&NOBODY.to_string()));
}

pub fn a_reset_connection_is_an_error<C: Client>() {
    let script = Script::start(|peer| {
        // Closing a socket that holds unread bytes resets the connection.
        peer.0.peek(&mut [0]).unwrap();
    });
    let mut client = connect::<C>(script.addr);
    let cause = cause(wait(get_k(&mut client)));
    let ConnectionError::Io(error) = cause else {
        panic!("{cause:?}");
    };
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    script.finish();
}

pub fn a_silent_server_is_asked_whether_it_is_still_there<C: Client>() {
    if !cfg!(target_os = "linux") {
        return;
    }
    let script = Script::start(|mut peer| peer.expect_end());
    let client = connect::<C>(script.addr);
    let deadline = Instant::now() + super::patience();
    while !is_kept_alive(|local, peer| local != script.addr.port() && peer == script.addr.port()) {
        assert!(Instant::now() < deadline);
        thread::yield_now();
    }
    drop(client);
    script.finish();
}

pub fn a_broken_connection_fails_every_outstanding_and_every_later_future<C: Client>() {
    let (sent, all_are_sent) = mpsc::channel();
    let script = Script::start(move |mut peer| {
        for _ in 0..10 {
            peer.receive();
        }
        // The reply may arrive before the poll that sends the last request ends.
        all_are_sent.recv().unwrap();
        peer.0.write_all(b"\0\0\0\x01?").unwrap();
        peer.expect_end();
    });
    let mut client = connect::<C>(script.addr);
    let mut clone = client.clone();
    let is_bad = |cause| assert!(matches!(cause, ConnectionError::BadFrame(_)), "{cause:?}");
    let mut gets: Vec<_> = (0..5).map(|_| Task::new(get_k(&mut client))).collect();
    let mut sets: Vec<_> = (0..5)
        .map(|n| Task::new(clone.set(n.to_string(), String::new())))
        .collect();
    let never_polled = get_k(&mut client);
    gets.iter_mut().for_each(Task::expect_not_ready);
    sets.iter_mut().for_each(Task::expect_not_ready);
    sent.send(()).unwrap();
    for get in gets {
        is_bad(cause(get.finish()));
    }
    for set in sets {
        is_bad(cause(set.finish()));
    }
    is_bad(cause(wait(never_polled)));
    is_bad(cause(wait(clone.remove("k".to_owned()))));
    script.finish();
}

pub fn a_server_that_does_not_answer_is_sent_no_more_than_the_bound<C: Client>() {
    const REQUESTS: usize = 4 * IN_FLIGHT;
    let (answered, was_answered) = mpsc::channel();
    let script = Script::start(move |mut peer| {
        let mut unread = vec![0; 1 << 20];
        let mut readable = |peer: &Wire| {
            peer.0.set_nonblocking(true).unwrap();
            let bytes = peer.0.peek(&mut unread).unwrap_or(0);
            peer.0.set_nonblocking(false).unwrap();
            bytes / frame(GET_K).len()
        };
        let mut received = 0;
        for replies in 0..REQUESTS {
            while received < REQUESTS.min(replies + IN_FLIGHT) {
                assert_eq!(peer.receive(), GET_K);
                received += 1;
            }
            let in_flight = received + readable(&peer) - replies;
            assert!(
                in_flight <= IN_FLIGHT,
                "{in_flight} requests wait for a reply"
            );
            peer.send(r#"{"Get":"v"}"#);
            was_answered.recv().unwrap();
        }
    });
    let mut client = connect::<C>(script.addr);
    let gets = (0..REQUESTS).map(|_| {
        let answered = answered.clone();
        get_k(&mut client).map(move |_| answered.send(()).unwrap())
    });
    wait(future::join_all(gets.collect::<Vec<_>>())).unwrap();
    script.finish();
}

/// Both sides write more than the sockets can hold before either reads it all.
pub fn large_requests_and_replies_cross_each_other<C: Client>() {
    const LEN: usize = 200_000;
    let script = Script::start(|mut peer| {
        for _ in 0..20 {
            assert!(peer.receive().len() > LEN);
            peer.send(&format!(r#"{{"Get":"{}"}}"#, "v".repeat(LEN)));
        }
    });
    let mut client = connect::<C>(script.addr);
    let gets = (0..20).map(|_| client.get("k".repeat(LEN)));
    let values = wait(future::join_all(gets.collect::<Vec<_>>())).unwrap();
    assert!(
        values
            .iter()
            .all(|value| value.as_ref().is_some_and(|value| value.len() == LEN))
    );
    script.finish();
}
