//! Tests against the real server.

use std::io::Write;
use std::thread;

use futures::{Future, future};
use kvs::client::QUEUE;
use kvs::protocol::{ErrorCode, MAX_FRAME_LEN};
use kvs::{ConnectionError, KvsError, KvsServer, Token};
use tokio::timer::Timeout;

use super::scripted::cause;
use super::{Client, Script, Task, connect, patience, wait};
use crate::common::{Store, TestServer, serve};

fn set(client: &mut impl Client, key: &str, value: &str) {
    wait(client.set(key.to_owned(), value.to_owned())).unwrap();
}

fn get(client: &mut impl Client, key: &str) -> Option<String> {
    wait(client.get(key.to_owned())).unwrap()
}

pub fn a_value_that_was_set_is_there<C: Client>() {
    let (_dir, server) = serve();
    let mut client = connect::<C>(server.addr);
    set(&mut client, "key1", "value1");
    set(&mut client, "key2", "value2");
    assert_eq!(get(&mut client, "key1").as_deref(), Some("value1"));
    assert_eq!(get(&mut client, "key2").as_deref(), Some("value2"));
}

pub fn a_missing_key_has_no_value<C: Client>() {
    let (_dir, server) = serve();
    let mut client = connect::<C>(server.addr);
    assert_eq!(get(&mut client, "key"), None);
    set(&mut client, "key1", "value");
    assert_eq!(get(&mut client, "key2"), None);
}

pub fn a_value_can_be_overwritten<C: Client>() {
    let (_dir, server) = serve();
    let mut client = connect::<C>(server.addr);
    set(&mut client, "key", "value1");
    set(&mut client, "key", "value2");
    assert_eq!(get(&mut client, "key").as_deref(), Some("value2"));
}

pub fn a_removed_key_does_not_exist<C: Client>() {
    let (_dir, server) = serve();
    let mut client = connect::<C>(server.addr);
    set(&mut client, "key1", "value");
    set(&mut client, "key2", "value");
    wait(client.remove("key1".to_owned())).unwrap();
    assert_eq!(get(&mut client, "key1"), None);
    assert_eq!(get(&mut client, "key2").as_deref(), Some("value"));
}

pub fn removing_a_missing_key_is_key_not_found<C: Client>() {
    let (_dir, server) = serve();
    let mut client = connect::<C>(server.addr);
    let removed = wait(client.remove("key".to_owned()));
    assert!(
        matches!(removed, Err(KvsError::KeyNotFound)),
        "the removal of a missing key returned {removed:?}"
    );
    assert_eq!(get(&mut client, "key"), None);
}

pub fn unicode_and_empty_keys_and_values_come_back<C: Client>() {
    let (_dir, server) = serve();
    let mut client = connect::<C>(server.addr);
    let strings = [
        "",
        " ",
        "\0",
        "\"{}\\",
        "naïve",
        "ключ",
        "鍵🔑",
        "\u{7f}\u{2028}\n",
    ];
    for key in strings {
        for value in strings {
            set(&mut client, key, value);
            assert_eq!(get(&mut client, key).as_deref(), Some(value));
        }
    }
    for key in strings {
        wait(client.remove(key.to_owned())).unwrap();
        assert_eq!(get(&mut client, key), None);
    }
}

pub fn megabyte_values_come_back<C: Client>() {
    let (_dir, server) = serve();
    let mut client = connect::<C>(server.addr);
    let value = "v".repeat(1 << 20);
    set(&mut client, "key", &value);
    assert!(get(&mut client, "key") == Some(value));
}

pub fn a_thousand_futures_can_be_under_way_at_once<C: Client>() {
    let (_dir, server) = serve();
    let mut client = connect::<C>(server.addr);
    let sets = (0..1000).map(|n| client.set(format!("key{n}"), format!("value{n}")));
    wait(future::join_all(sets.collect::<Vec<_>>())).unwrap();
    let gets = (0..1000).map(|n| client.get(format!("key{n}")));
    let values = wait(future::join_all(gets.collect::<Vec<_>>())).unwrap();
    for (n, value) in values.into_iter().enumerate() {
        assert_eq!(value, Some(format!("value{n}")));
    }
}

pub fn several_clients_can_work_at_once<C: Client>() {
    let (_dir, server) = serve();
    let mut clients: Vec<C> = (0..10).map(|_| connect(server.addr)).collect();
    let work = clients.iter_mut().enumerate().map(|(n, client)| {
        let set = client.set(format!("key{n}"), format!("value{n}"));
        let get = client.get(format!("key{n}"));
        set.and_then(|()| get)
    });
    let values = wait(future::join_all(work.collect::<Vec<_>>())).unwrap();
    for (n, value) in values.into_iter().enumerate() {
        assert_eq!(value, Some(format!("value{n}")));
    }
}

pub fn clones_can_be_used_from_many_threads<C: Client>() {
    let (_dir, server) = serve();
    let client = connect::<C>(server.addr);
    let threads = (0..8).map(|thread| {
        let mut client = client.clone();
        thread::spawn(move || {
            for n in 0..50 {
                let (key, value) = (format!("key{thread}"), format!("value{n}"));
                set(&mut client, &key, &value);
                assert_eq!(get(&mut client, &key), Some(value));
            }
        })
    });
    for thread in threads.collect::<Vec<_>>() {
        thread.join().unwrap();
    }
}

pub fn requests_take_effect_in_the_order_in_which_they_were_sent<C: Client>() {
    let (_dir, server) = serve();
    let mut client = connect::<C>(server.addr);
    let mut gets = Vec::new();
    let mut sets = Vec::new();
    // No more than the queue has room for: a request that waits for room may be overtaken.
    for n in 0..QUEUE / 2 {
        sets.push(client.set("key".to_owned(), n.to_string()));
        gets.push(client.get("key".to_owned()));
    }
    // `join_all` polls in this order, and a future sends at its first poll.
    let pairs = sets.into_iter().zip(gets).map(|(set, get)| set.join(get));
    let pairs = wait(future::join_all(pairs.collect::<Vec<_>>())).unwrap();
    for (n, ((), value)) in pairs.into_iter().enumerate() {
        assert_eq!(value, Some(n.to_string()));
    }
}

pub fn a_restart_of_the_server_fails_the_old_client_and_serves_a_new_one<C: Client>() {
    let (dir, mut server) = serve();
    let mut client = connect::<C>(server.addr);
    set(&mut client, "key", "value");
    server.stop();
    let get_key = wait(client.get("key".to_owned()));
    assert!(
        matches!(get_key, Err(KvsError::Connection { .. })),
        "{get_key:?}"
    );

    let server = TestServer::start(Store::open(dir.path(), 2).unwrap());
    let again = wait(client.get("key".to_owned()));
    assert!(
        matches!(again, Err(KvsError::Connection { .. })),
        "{again:?}"
    );
    let mut client = connect::<C>(server.addr);
    assert_eq!(get(&mut client, "key").as_deref(), Some("value"));
}

pub fn an_error_of_the_engine_keeps_its_code_and_the_connection_continues<C: Client>() {
    let (_dir, server) = serve();
    let mut client = connect::<C>(server.addr);
    let refused = wait(client.set("k".repeat(100_000), String::new()));
    match refused {
        Err(KvsError::Server { code, message }) => {
            assert_eq!(code, ErrorCode::TooLarge);
            assert!(message.contains("100000 bytes"), "{message}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(get(&mut client, "key"), None);
}

pub fn a_request_longer_than_a_frame_is_refused_and_the_connection_continues<C: Client>() {
    let (_dir, server) = serve();
    let mut client = connect::<C>(server.addr);
    let refused = wait(client.set("key".to_owned(), "v".repeat(MAX_FRAME_LEN)));
    assert!(
        matches!(
            refused,
            Err(KvsError::TooLarge {
                what: "request",
                ..
            })
        ),
        "a request that is too long returned {refused:?}"
    );
    assert_eq!(get(&mut client, "key"), None);
}

pub fn the_right_token_lets_a_client_in_and_no_other<C: Client>() {
    fn is_refused<T>(result: kvs::Result<T>) -> bool {
        matches!(result, Err(KvsError::Server { code, .. }) if code == ErrorCode::Unauthorized)
    }
    let dir = tempfile::tempdir().unwrap();
    let [right, wrong] = ["right", "wrong"].map(|token| Token::new(token).unwrap());
    let server = KvsServer::new(Store::open(dir.path(), 2).unwrap()).token(right.clone());
    let server = TestServer::serve(server);
    let mut friend = connect::<C>(server.addr);
    wait(friend.auth(&right)).unwrap();
    set(&mut friend, "key", "value");

    let mut stranger = connect::<C>(server.addr);
    assert!(is_refused(wait(stranger.get("key".to_owned()))));
    let mut liar = connect::<C>(server.addr);
    assert!(is_refused(wait(liar.auth(&wrong))));
    assert!(wait(liar.get("key".to_owned())).is_err());
    assert_eq!(get(&mut friend, "key").as_deref(), Some("value"));
}

/// Returns the future that the tests of the runtimes run.
fn work<C: Client>(
    addr: std::net::SocketAddr,
) -> impl Future<Item = (), Error = KvsError> + Send + use<C> {
    C::connect(addr).and_then(|mut client| {
        let set = client.set("key".to_owned(), "value".to_owned());
        set.and_then(move |()| {
            let gets = (0..100).map(|_| client.get("key".to_owned()));
            future::join_all(gets.collect::<Vec<_>>()).and_then(move |values| {
                assert!(values.iter().all(|value| value.as_deref() == Some("value")));
                client.remove("key".to_owned())
            })
        })
    })
}

pub fn it_works_on_a_runtime_of_many_threads<C: Client>() {
    let (_dir, server) = serve();
    let mut runtime = tokio::runtime::Runtime::new().unwrap();
    let work = Timeout::new(work::<C>(server.addr), patience());
    runtime.block_on(work).unwrap();
    runtime.shutdown_on_idle().wait().unwrap();
}

pub fn it_works_on_a_runtime_of_one_thread<C: Client>() {
    let (_dir, server) = serve();
    let mut runtime = tokio::runtime::current_thread::Runtime::new().unwrap();
    let work = Timeout::new(work::<C>(server.addr), patience());
    runtime.block_on(work).unwrap();
    // This returns only after the task of the connection has ended.
    runtime.run().unwrap();
}

pub fn it_works_on_several_threads_without_a_runtime<C: Client>() {
    let (_dir, server) = serve();
    let mut client: C = connect(server.addr);
    wait(client.set("key".to_owned(), "value".to_owned())).unwrap();
    let threads = (0..4).map(|_| {
        let get = client.get("key".to_owned());
        thread::spawn(move || wait(get).unwrap())
    });
    for thread in threads.collect::<Vec<_>>() {
        assert_eq!(thread.join().unwrap().as_deref(), Some("value"));
    }
}

pub fn a_thread_that_went_without_a_runtime_can_have_one_later<C: Client>() {
    let (_dir, server) = serve();
    let mut client: C = connect(server.addr);
    wait(client.get("key".to_owned())).unwrap();
    it_works_on_a_runtime_of_one_thread::<C>();
    it_works_on_a_runtime_of_many_threads::<C>();
}

pub fn a_runtime_that_shuts_down_fails_pending_requests<C: Client>() {
    let (_dir, server) = serve();
    let mut runtime = tokio::runtime::Runtime::new().unwrap();
    let connect = Timeout::new(C::connect(server.addr), patience());
    let mut client: C = runtime.block_on(connect).unwrap();
    // This thread sends requests all the time, so some are pending when the runtime shuts down.
    let patience = patience();
    let asking = {
        let mut client = client.clone();
        thread::spawn(move || {
            super::PATIENCE.set(patience);
            loop {
                let gets = (0..10).map(|_| client.get("key".to_owned()));
                let gets = future::join_all(gets.collect::<Vec<_>>());
                if let Err(error) = Task::new(gets).finish() {
                    return error;
                }
            }
        })
    };
    wait(client.get("key".to_owned())).unwrap();
    runtime.shutdown_now().wait().unwrap();
    let error = asking.join().unwrap();
    assert!(matches!(error, KvsError::Connection { .. }), "{error:?}");
    let later = wait(client.get("key".to_owned()));
    assert!(
        matches!(later, Err(KvsError::Connection { .. })),
        "{later:?}"
    );
}

pub fn the_cause_of_a_broken_connection_outlives_its_runtime<C: Client>() {
    let script = Script::start(|mut peer| {
        peer.receive();
        peer.0.write_all(b"\0\0\0\x01?").unwrap();
        peer.expect_end();
    });
    let mut runtime = tokio::runtime::Runtime::new().unwrap();
    let connect = Timeout::new(C::connect(script.addr), patience());
    let mut client: C = runtime.block_on(connect).unwrap();
    let mut is_bad_frame = || {
        let cause = cause(wait(client.get("key".to_owned())));
        assert!(matches!(cause, ConnectionError::BadFrame(_)), "{cause:?}");
    };
    is_bad_frame();
    runtime.shutdown_now().wait().unwrap();
    is_bad_frame();
    script.finish();
}
