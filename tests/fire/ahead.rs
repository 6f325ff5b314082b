//! The keys that an engine learns before the requests, and the values that it lends.

use std::io::Write;
use std::sync::{Arc, Mutex};

use kvs::engine::EngineFuture;
use kvs::{KvsEngine, KvsServer, Token};

use crate::common::{TestServer, Wire, frame};

/// An engine in which each key is its own value, and that notes which keys it learns.
#[derive(Clone, Default)]
struct Learning(Arc<Mutex<Vec<String>>>);

impl KvsEngine for Learning {
    fn get(&self, key: String) -> EngineFuture<Option<String>> {
        EngineFuture::done(Ok(Some(key)))
    }

    fn look_ahead<'k>(&self, keys: impl Iterator<Item = &'k str>) {
        self.0.lock().unwrap().extend(keys.map(str::to_owned));
        panic!("an engine that panics, as the test wants it")
    }

    fn set(&self, _: String, _: String) -> EngineFuture<()> {
        EngineFuture::done(Ok(()))
    }

    fn remove(&self, _: String) -> EngineFuture<()> {
        EngineFuture::done(Ok(()))
    }
}

/// Sends gets of `keys` together, and checks their replies.
fn get_together(wire: &mut Wire, keys: &[&str]) {
    let get = |key: &&str| frame(format!(r#"{{"Get":{{"key":"{key}"}}}}"#));
    wire.0
        .write_all(&keys.iter().flat_map(get).collect::<Vec<_>>())
        .unwrap();
    for key in keys {
        assert_eq!(wire.receive(), format!(r#"{{"Get":"{key}"}}"#));
    }
}

#[test]
fn an_engine_learns_the_keys_of_gets_that_arrive_together_and_may_panic_there() {
    let engine = Learning::default();
    let server = TestServer::serve(KvsServer::new(engine.clone()));
    let mut wire = Wire::connect(server.addr);
    let keys = ["a", "b", "c", "d", "e"];
    for _ in 0..3 {
        get_together(&mut wire, &keys);
        assert_eq!(*engine.0.lock().unwrap(), keys);
        engine.0.lock().unwrap().clear();
        // There is nothing to learn of one that comes alone.
        get_together(&mut wire, &keys[..1]);
        assert!(engine.0.lock().unwrap().is_empty());
    }
}

#[test]
fn an_engine_learns_nothing_of_a_peer_without_the_token() {
    let engine = Learning::default();
    let server = KvsServer::new(engine.clone()).token(Token::new("secret").unwrap());
    let server = TestServer::serve(server);
    let mut stranger = Wire::connect(server.addr);
    let get = frame(r#"{"Get":{"key":"k"}}"#);
    stranger.0.write_all(&get.repeat(5)).unwrap();
    stranger.expect_error("unauthorized");
    stranger.expect_end();
    assert!(engine.0.lock().unwrap().is_empty());
}

/// An engine that panics while it lends a value, before or after the caller has read it, except
/// that of `c`.
#[derive(Clone)]
struct Lending {
    lends: bool,
}

impl KvsEngine for Lending {
    fn keeps_order(&self) -> bool {
        true
    }

    fn with_value_in_order<T>(&self, key: &str, read: impl FnOnce(&str) -> T) -> Option<T> {
        self.with_value(key, read)
    }

    fn with_value<T>(&self, key: &str, read: impl FnOnce(&str) -> T) -> Option<T> {
        if key == "c" {
            return Some(read(key));
        }
        if self.lends {
            read(&format!("{key} lent"));
        }
        panic!("an engine that panics, as the test wants it")
    }

    fn get(&self, key: String) -> EngineFuture<Option<String>> {
        EngineFuture::done(Ok(Some(key)))
    }

    fn set(&self, _: String, _: String) -> EngineFuture<()> {
        EngineFuture::done(Ok(()))
    }

    fn remove(&self, _: String) -> EngineFuture<()> {
        EngineFuture::done(Ok(()))
    }
}

#[test]
fn an_engine_that_panics_while_it_lends_a_value_is_asked_for_it() {
    for lends in [false, true] {
        let server = TestServer::start(Lending { lends });
        let mut wire = Wire::connect(server.addr);
        get_together(&mut wire, &["a", "b", "c"]);
        // These gets come behind a write.
        let requests = [
            r#"{"Set":{"key":"k","value":"v"}}"#,
            r#"{"Get":{"key":"a"}}"#,
            r#"{"Get":{"key":"c"}}"#,
        ];
        wire.0.write_all(&requests.map(frame).concat()).unwrap();
        for reply in [r#""Set""#, r#"{"Get":"a"}"#, r#"{"Get":"c"}"#] {
            assert_eq!(wire.receive(), reply);
        }
    }
}
