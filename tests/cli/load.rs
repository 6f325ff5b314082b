//! `load`.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use assert_cmd::assert::Assert;
use assert_cmd::cargo::cargo_bin;
use kvs::protocol::{ErrorCode, Request, Response};
use predicates::prelude::*;
use predicates::str::contains;

use super::scripted::serve;
use super::{client, client_reading, path, refused};
use crate::common::{PATIENCE, ServerProcess, memory};

fn load(args: &str, pairs: impl Into<Vec<u8>>) -> Assert {
    client_reading(&format!("load {args}"), pairs)
}

#[test]
fn pairs_come_from_a_file_or_from_stdin_and_the_last_line_of_a_key_wins() {
    let dir = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(&dir.path().join("data"), &[]);
    let to = format!("--addr {}", server.addr);
    let mut pairs = String::new();
    for i in 0..5000 {
        pairs += &format!(" [\"key{}\", \"{i}\"]\r\n\n", i % 10);
    }
    let file = dir.path().join("pairs");
    fs::write(&file, pairs.trim_end()).unwrap();
    client(&format!("load {} {to}", path(&file)))
        .success()
        .stdout("pairs stored: 5000\n")
        .stderr("");
    client(&format!("get key0 key9 {to}"))
        .success()
        .stdout("4990\n4999\n");
    load(&to, r#"["key0","pipe"]"#)
        .success()
        .stdout("pairs stored: 1\n");
    client(&format!("get key0 {to}")).success().stdout("pipe\n");
    let mut redirected = Command::new(cargo_bin!("kvs-client"));
    redirected.args(["load", "--addr", &server.addr.to_string()]);
    redirected.stdin(File::open(&file).unwrap());
    assert!(redirected.output().unwrap().status.success());
    client(&format!("get key0 {to}")).success().stdout("4990\n");
    load(&to, "").success().stdout("pairs stored: 0\n");
    load(&format!("- {to}"), r#"["key0","dash"]"#)
        .success()
        .stdout("pairs stored: 1\n");
    client(&format!("get key0 {to}")).success().stdout("dash\n");
    refused(client(&format!("load nowhere {to}"))).stderr(contains("nowhere"));
}

#[test]
fn a_line_that_is_not_a_pair_is_named_and_the_load_continues_from_there() {
    let dir = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(dir.path(), &[]);
    let to = format!("--addr {}", server.addr);
    for bad in [
        "[\"b\",2]",
        "[\"b\"]",
        "[\"b\",\"2\",\"3\"]",
        "[\"b\",null]",
        "{\"b\":\"2\"}",
        "b 2",
        "[\"b\",\"2\"] more",
        "[\"b\",\"2\"",
    ] {
        let pairs = format!("[\"a\",\"1\"]\n\n{bad}\n[\"c\",\"{}\"]\n", bad.len());
        refused(load(&to, pairs.clone())).code(1).stderr(
            contains("line 3")
                .and(contains(r#"["key","value"]"#))
                .and(contains("--from-line 3"))
                .and(contains("column")),
        );
        client(&format!("get a b c {to}"))
            .success()
            .stdout("1\nKey not found\nKey not found\n");
        load(&format!("{to} --from-line 4"), pairs)
            .success()
            .stdout("pairs stored: 1\n");
        client(&format!("get c {to}"))
            .success()
            .stdout(format!("{}\n", bad.len()));
        client(&format!("rm c {to}")).success();
    }
    refused(load(&to, b"[\"a\",\"1\"]\n[\"b\",\"\xff\"]\n")).stderr(contains("line 2"));
    let long = format!("[\"a\",\"1\"]\n[\"b\",\"{}\"]\n", "x".repeat(16 << 20));
    refused(load(&to, long)).stderr(contains("line 2").and(contains("16777216")));
}

/// The server stores the first pairs, refuses one, and would take the others.
#[test]
fn an_error_of_the_server_names_the_first_line_that_is_not_stored() {
    let addr = serve(|connection| {
        let mut stored = 0;
        while connection.next().is_some() {
            stored += 1;
            connection.reply(&match stored {
                1000 | 1500 => Response::Err {
                    code: ErrorCode::StorageFull,
                    message: "the disk is full".to_owned(),
                },
                _ => Response::Set,
            });
        }
    });
    let pairs = "[\"k\",\"v\"]\n".repeat(2000);
    refused(load(&format!("--addr {addr}"), pairs)).stderr(
        contains("line 1000:")
            .and(contains("disk is full"))
            .and(contains("--from-line 1000")),
    );
}

#[test]
fn a_connection_that_breaks_names_the_first_line_without_a_reply() {
    let addr = serve(|connection| {
        for _ in 0..1234 {
            connection.next().unwrap();
            connection.reply(&Response::Set);
        }
        connection.end();
    });
    let pairs = "[\"k\",\"v\"]\n".repeat(5000);
    refused(load(&format!("--addr {addr}"), pairs))
        .stderr(contains("line 1235:").and(contains("--from-line 1235")));
}

#[test]
fn many_sets_are_in_flight() {
    let addr = serve(|connection| {
        for _ in 0..200 {
            connection.next().unwrap();
        }
        for _ in 0..200 {
            connection.reply(&Response::Set);
        }
        assert_eq!(connection.next(), None);
    });
    load(&format!("--addr {addr}"), "[\"k\",\"v\"]\n".repeat(200))
        .success()
        .stdout("pairs stored: 200\n");
}

#[test]
fn a_server_that_stops_answering_is_given_up() {
    let addr = serve(|connection| {
        for _ in 0..500 {
            connection.next().unwrap();
            connection.reply(&Response::Set);
        }
        while connection.next().is_some() {}
    });
    let pairs = "[\"k\",\"v\"]\n".repeat(5000);
    refused(load(&format!("--addr {addr} --timeout 300ms"), pairs)).stderr(
        contains("line 501:")
            .and(contains("within 300ms"))
            .and(contains("--timeout")),
    );
}

/// Neither does a slow input hold up the lines that are there, nor is it a reason to give up.
#[test]
fn pairs_of_a_slow_input_are_stored_as_they_come() {
    let (arrived, arrivals) = mpsc::channel();
    let addr = serve(move |connection| {
        while let Some(request) = connection.next() {
            arrived.send(request).unwrap();
            connection.reply(&Response::Set);
        }
    });
    let mut command = Command::new(cargo_bin!("kvs-client"));
    command.args(["load", "--timeout", "200ms", "--addr", &addr.to_string()]);
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut load = command.spawn().unwrap();
    let mut stdin = load.stdin.take().unwrap();
    for key in ["first", "second"] {
        writeln!(stdin, "[\"{key}\",\"v\"]").unwrap();
        let (key, value) = (key.to_owned(), "v".to_owned());
        let arrived = arrivals.recv_timeout(PATIENCE).unwrap();
        assert_eq!(arrived, Request::Set { key, value });
        // The input is silent for longer than the timeout.
        thread::sleep(Duration::from_millis(500));
    }
    drop(stdin);
    let output = load.wait_with_output().unwrap();
    assert_eq!(output.stdout, b"pairs stored: 2\n");
}

#[test]
fn a_load_holds_only_some_of_the_input() {
    let (arrived, arrivals) = mpsc::channel();
    let addr = serve(move |connection| {
        while connection.next().is_some() {
            arrived.send(()).unwrap();
            // The client reads ahead meanwhile. No event tells how far it would read.
            thread::sleep(Duration::from_millis(5));
            connection.reply(&Response::Set);
        }
    });
    let mut command = Command::new(cargo_bin!("kvs-client"));
    command.args(["load", "--addr", &addr.to_string()]);
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut load = command.spawn().unwrap();
    let mut stdin = load.stdin.take().unwrap();
    let line = format!("[\"k\",\"{}\"]\n", "x".repeat(1 << 20));
    let lines = 256;
    for _ in 0..lines {
        stdin.write_all(line.as_bytes()).unwrap();
    }
    for _ in 0..lines {
        arrivals.recv_timeout(PATIENCE).unwrap();
    }
    let most = memory(load.id(), "VmHWM");
    assert!(most < 64 << 20, "{most} bytes");
    drop(stdin);
    let mut stdout = String::new();
    load.stdout
        .take()
        .unwrap()
        .read_to_string(&mut stdout)
        .unwrap();
    assert_eq!(stdout, format!("pairs stored: {lines}\n"));
    assert!(load.wait().unwrap().success());
}
