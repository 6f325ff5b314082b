//! Futures that are dropped before they complete, or never polled.

use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;

use futures::{Future, future};
use kvs::KvsError;
use kvs::client::{IN_FLIGHT, QUEUE};

use super::{Client, GET_K, Script, Task, connect, get_k, patience, wait};
use crate::common::{ANY_PORT, Wire};

pub fn a_future_that_is_never_polled_sends_nothing<C: Client>() {
    let script = Script::start(|mut peer| {
        assert_eq!(peer.receive(), GET_K, "the first to arrive");
        peer.send(r#"{"Get":null}"#);
        peer.expect_end();
    });
    let mut client = connect::<C>(script.addr);
    let never_polled = client.set("k".to_owned(), "v".to_owned());
    let value = wait(get_k(&mut client));
    drop((never_polled, client));
    script.finish();
    assert_eq!(value.unwrap(), None);
}

pub fn a_future_dropped_before_its_first_poll_sends_nothing<C: Client>() {
    let script = Script::start(|mut peer| {
        assert_eq!(peer.receive(), GET_K, "the first to arrive");
        peer.send(r#"{"Get":null}"#);
        peer.expect_end();
    });
    let mut client = connect::<C>(script.addr);
    drop(client.set("k".to_owned(), "v".to_owned()));
    drop(client.remove("k".to_owned()));
    let value = wait(get_k(&mut client));
    drop(client);
    script.finish();
    assert_eq!(value.unwrap(), None);
}

pub fn a_connection_that_is_never_polled_is_not_made<C: Client>() {
    let listener = TcpListener::bind(ANY_PORT).unwrap();
    let addr = listener.local_addr().unwrap();
    // On a runtime, an eager client connects at once. Elsewhere, another thread would do it later.
    let mut runtime = tokio::runtime::current_thread::Runtime::new().unwrap();
    let connect = future::lazy(|| Ok::<_, ()>(C::connect(addr)));
    let never_polled = runtime.block_on(connect).unwrap();
    // Connections are accepted in the order in which they are made.
    let ours = TcpStream::connect(addr).unwrap();
    let (_, peer) = listener.accept().unwrap();
    let ours = ours.local_addr().unwrap();
    assert_eq!(peer, ours, "a stranger connected");
    drop(never_polled);
}

pub fn a_connection_given_up_while_it_is_made_is_closed<C: Client>() {
    let listener = TcpListener::bind(ANY_PORT).unwrap();
    let addr = listener.local_addr().unwrap();
    let mut connecting = Task::new(C::connect(addr));
    let polled = connecting.poll();
    assert!(polled.is_ok(), "the server is there");
    drop((connecting, polled));
    // The connection may have been made or not. In either case it has to be closed now.
    let ours = TcpStream::connect(addr).unwrap();
    loop {
        let (socket, peer) = listener.accept().unwrap();
        if peer == ours.local_addr().unwrap() {
            break;
        }
        Wire::new(socket, patience()).expect_end();
    }
}

pub fn a_future_dropped_in_flight_leaves_the_connection_in_step<C: Client>() {
    let (ask, asked) = mpsc::channel::<()>();
    let script = Script::start(move |mut peer| {
        for n in 0..50 {
            // The dropped request gets its reply late, and the next one after it.
            assert_eq!(
                peer.receive(),
                format!(r#"{{"Get":{{"key":"dropped{n}"}}}}"#)
            );
            asked.recv().unwrap();
            peer.send(r#"{"Get":"late"}"#);
            assert_eq!(peer.receive(), GET_K);
            peer.send(&format!(r#"{{"Get":"{n}"}}"#));
        }
    });
    let mut client = connect::<C>(script.addr);
    for n in 0..50 {
        let mut dropped = Task::new(client.get(format!("dropped{n}")));
        dropped.expect_not_ready();
        drop(dropped);
        ask.send(()).unwrap();
        assert_eq!(wait(get_k(&mut client)).unwrap(), Some(n.to_string()));
    }
    script.finish();
}

pub fn a_future_dropped_half_written_leaves_its_frame_whole<C: Client>() {
    // More than the buffers of both sockets hold.
    const LEN: usize = 12 * 1024 * 1024;
    let (begin, has_begun) = mpsc::channel::<()>();
    let (give_up, given_up) = mpsc::channel::<()>();
    let script = Script::start(move |mut peer| {
        peer.0.peek(&mut [0]).unwrap();
        begin.send(()).unwrap();
        given_up.recv().unwrap();
        assert!(peer.receive().len() > LEN);
        peer.send(r#""Set""#);
        assert_eq!(peer.receive(), GET_K);
        peer.send(r#"{"Get":"v"}"#);
    });
    let mut client = connect::<C>(script.addr);
    let mut dropped = Task::new(client.set("k".to_owned(), "v".repeat(LEN)));
    dropped.expect_not_ready();
    has_begun.recv().unwrap();
    drop(dropped);
    give_up.send(()).unwrap();
    assert_eq!(wait(get_k(&mut client)).unwrap().as_deref(), Some("v"));
    script.finish();
}

pub fn a_future_dropped_with_its_reply_leaves_the_connection_in_step<C: Client>() {
    let (poll, polled) = mpsc::channel::<()>();
    let script = Script::start(move |mut peer| {
        for n in 0..20 {
            assert_eq!(peer.receive(), r#"{"Get":{"key":"dropped"}}"#);
            polled.recv().unwrap();
            peer.send(r#"{"Get":"dropped"}"#);
            assert_eq!(peer.receive(), GET_K);
            peer.send(&format!(r#"{{"Get":"{n}"}}"#));
        }
    });
    let mut client = connect::<C>(script.addr);
    for n in 0..20 {
        let mut dropped = Task::new(client.get("dropped".to_owned()));
        dropped.expect_not_ready();
        poll.send(()).unwrap();
        // The reply wakes the task. The future is dropped before a poll takes the reply.
        dropped.wait_for_wake();
        drop(dropped);
        assert_eq!(wait(get_k(&mut client)).unwrap(), Some(n.to_string()));
    }
    script.finish();
}

pub fn futures_dropped_while_they_wait_for_room_give_up_their_place<C: Client>() {
    let (full, is_full) = mpsc::channel::<()>();
    let script = Script::start(move |mut peer| {
        is_full.recv().unwrap();
        while let Ok(request) = peer.try_receive() {
            assert_eq!(request, GET_K);
            peer.send(r#"{"Get":"v"}"#);
        }
    });
    let mut client = connect::<C>(script.addr);
    let mut polled = |n: usize| {
        let mut gets: Vec<_> = (0..n).map(|_| Task::new(get_k(&mut client))).collect();
        gets.iter_mut().for_each(Task::expect_not_ready);
        gets
    };
    let patient = polled(IN_FLIGHT + 2 * QUEUE);
    let dropped = polled(10 * QUEUE);
    let after_them = polled(QUEUE);
    drop(dropped);
    full.send(()).unwrap();
    for get in patient.into_iter().chain(after_them) {
        assert_eq!(get.finish().unwrap().as_deref(), Some("v"));
    }
    let gets = (0..10 * QUEUE).map(|_| get_k(&mut client));
    wait(future::join_all(gets.collect::<Vec<_>>())).unwrap();
    drop(client);
    script.finish();
}

pub fn the_socket_closes_with_the_last_handle<C: Client>() {
    let script = Script::start(|mut peer| peer.expect_end());
    let client = connect::<C>(script.addr);
    let clone = client.clone();
    drop(client);
    drop(clone);
    script.finish();

    // A future that is dropped without a poll does not keep the socket open either.
    let script = Script::start(|mut peer| {
        assert_eq!(peer.receive(), GET_K);
        peer.send(r#"{"Get":null}"#);
        peer.expect_end();
    });
    let mut client = connect::<C>(script.addr);
    wait(get_k(&mut client)).unwrap();
    let given_up = get_k(&mut client);
    drop(client);
    drop(given_up);
    script.finish();
}

pub fn a_future_outlives_its_handle_and_then_the_socket_closes<C: Client>() {
    let (drop_handle, handle_is_dropped) = mpsc::channel::<()>();
    let script = Script::start(move |mut peer| {
        assert_eq!(peer.receive(), GET_K);
        handle_is_dropped.recv().unwrap();
        peer.send(r#"{"Get":"v"}"#);
        assert_eq!(peer.receive(), GET_K);
        peer.send(r#"{"Get":"w"}"#);
        peer.expect_end();
    });
    let mut client = connect::<C>(script.addr);
    let mut in_flight = Task::new(get_k(&mut client));
    in_flight.expect_not_ready();
    let not_polled_yet = get_k(&mut client);
    drop(client);
    drop_handle.send(()).unwrap();
    assert_eq!(in_flight.finish().unwrap().as_deref(), Some("v"));
    assert_eq!(wait(not_polled_yet).unwrap().as_deref(), Some("w"));
    script.finish();
}

pub fn the_socket_closes_although_all_places_are_taken<C: Client>() {
    // Short requests reach the limit of requests in flight. Long ones fill the socket's buffers
    // first.
    for (requests, len) in [(IN_FLIGHT + 2 * QUEUE, 1), (QUEUE, 1 << 18)] {
        let (given_up, all_given_up) = mpsc::channel::<()>();
        let script = Script::start(move |mut peer| {
            all_given_up.recv().unwrap();
            // Reads the requests up to the end, or up to a reset if the client had more to send.
            let _ = std::io::copy(&mut peer.0, &mut std::io::sink());
            assert_eq!(peer.0.peek(&mut [0]).unwrap_or(0), 0);
        });
        let mut client = connect::<C>(script.addr);
        let mut gets: Vec<_> = (0..requests)
            .map(|_| Task::new(client.get("k".repeat(len))))
            .collect();
        // Twice, because some got room in the queue after the first poll.
        gets.iter_mut().for_each(Task::expect_not_ready);
        gets.iter_mut().for_each(Task::expect_not_ready);
        drop((gets, client));
        given_up.send(()).unwrap();
        script.finish();
    }
}

pub fn the_queue_takes_no_more_than_its_bound<C: Client>() {
    let (given_up, all_given_up) = mpsc::channel::<()>();
    let script = Script::start(move |mut peer| {
        all_given_up.recv().unwrap();
        let mut given_up = 0;
        while peer.receive() != r#"{"Get":{"key":"last"}}"# {
            given_up += 1;
            peer.send(r#"{"Get":null}"#);
        }
        peer.send(r#"{"Get":null}"#);
        let bound = IN_FLIGHT + QUEUE;
        assert!(given_up <= bound, "{given_up} requests were taken");
    });
    let mut client = connect::<C>(script.addr);
    let mut gets: Vec<_> = (0..IN_FLIGHT + 10 * QUEUE)
        .map(|_| Task::new(get_k(&mut client)))
        .collect();
    for _ in 0..20 {
        gets.iter_mut().for_each(Task::expect_not_ready);
    }
    // The requests that waited for room are gone now. Those in the queue will still be sent.
    drop(gets);
    given_up.send(()).unwrap();
    wait(client.get("last".to_owned())).unwrap();
    script.finish();
}
