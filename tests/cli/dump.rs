//! `keys` and `dump`.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use assert_cmd::cargo::cargo_bin;
use predicates::prelude::*;
use predicates::str::contains;

use super::scripted::{self, Pages};
use super::{client, refused};
use crate::common::ServerProcess;
use kvs::client::blocking::KvsClient;
use kvs::protocol::{ErrorCode, MAX_FRAME_LEN, Page, Request, Response, Scan};

fn pair(key: &str, value: &str) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

/// Three pages, of which the second is empty.
fn pages() -> Pages {
    Pages::start(vec![
        vec![
            pair("user:1", "Ann"),
            pair("user:2", "two\nlines, \"quoted\""),
        ],
        vec![],
        vec![pair("color", ""), pair("two\nlines", "é")],
    ])
}

/// Starts a dump whose reader is the test.
fn start_dump(pages: &Pages) -> Child {
    let mut command = Command::new(cargo_bin!("kvs-client"));
    command.args(["dump", "--addr", &pages.addr.to_string()]);
    let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

#[test]
fn a_dump_is_a_line_of_json_for_each_pair() {
    let pages = pages();
    client(&format!("dump --addr {}", pages.addr))
        .success()
        .stdout(concat!(
            r#"["user:1","Ann"]"#,
            "\n",
            r#"["user:2","two\nlines, \"quoted\""]"#,
            "\n",
            r#"["color",""]"#,
            "\n",
            r#"["two\nlines","é"]"#,
            "\n"
        ))
        .stderr("");
    assert_eq!(pages.asked(), 3);
    client(&format!("dump --prefix user:1 --addr {}", pages.addr))
        .success()
        .stdout("[\"user:1\",\"Ann\"]\n");
}

#[test]
fn keys_are_lines_of_text_or_of_json() {
    let pages = pages();
    client(&format!("keys --addr {}", pages.addr))
        .success()
        .stdout("user:1\nuser:2\ncolor\ntwo\nlines\n");
    client(&format!("keys --json --addr {}", pages.addr))
        .success()
        .stdout("\"user:1\"\n\"user:2\"\n\"color\"\n\"two\\nlines\"\n");
    client(&format!("keys --prefix user: --addr {}", pages.addr))
        .success()
        .stdout("user:1\nuser:2\n");
}

#[test]
fn a_dump_asks_for_no_page_before_it_writes_the_last_one() {
    let value = "x".repeat(1000);
    let page = |n: usize| (0..200).map(move |i| (n, i));
    let pair = |(n, i)| (format!("{n}-{i}"), value.clone());
    let pages = Pages::start((0..50).map(|n| page(n).map(pair).collect()).collect());
    let mut dump = start_dump(&pages);
    // The pipe has room for less than a page. A dump that asks too early would do so in this time.
    // No event tells that it asks for no more.
    thread::sleep(Duration::from_millis(500));
    assert!(pages.asked() <= 2, "{}", pages.asked());
    let lines = BufReader::new(dump.stdout.take().unwrap()).lines();
    assert_eq!(lines.count(), 50 * 200);
    assert!(dump.wait().unwrap().success());
    assert_eq!(pages.asked(), 50);
}

#[test]
fn a_dump_ends_quietly_when_its_reader_has_gone() {
    let value = "x".repeat(1000);
    let pair = |i: usize| (i.to_string(), value.clone());
    let pages = Pages::start((0..1000).map(|_| (0..200).map(pair).collect()).collect());
    let mut dump = start_dump(&pages);
    let mut line = String::new();
    BufReader::new(dump.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let mut errors = String::new();
    dump.stderr
        .take()
        .unwrap()
        .read_to_string(&mut errors)
        .unwrap();
    assert_eq!(
        (errors.as_str(), dump.wait().unwrap().code()),
        ("", Some(1))
    );
    assert!(pages.asked() < 1000);
}

#[test]
fn a_full_disk_ends_a_dump_with_an_error() {
    let pages = pages();
    let mut command = Command::new(cargo_bin!("kvs-client"));
    command.args(["dump", "--addr", &pages.addr.to_string()]);
    let full = std::fs::File::create("/dev/full").unwrap();
    let output = command.stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("No space left"), "{error}");
}

#[test]
fn an_error_of_the_server_ends_a_scan_with_that_error() {
    let addr = scripted::serve(|connection| {
        while connection.next().is_some() {
            connection.reply(&Response::Err {
                code: ErrorCode::Unsupported,
                message: "this engine cannot list its pairs".to_owned(),
            });
        }
    });
    for command in ["keys", "dump"] {
        refused(client(&format!("{command} --addr {addr}")))
            .code(1)
            .stderr(contains("cannot list").and(contains("unsupported")));
    }
}

#[test]
fn a_dump_of_one_engine_loads_into_another() {
    let dir = tempfile::tempdir().unwrap();
    let mut pairs = String::new();
    for i in 0..25_000 {
        pairs += &format!("[\"key{i}\",\"value {i} \\\"\\n\\u00e9\"]\n");
    }
    let first = dir.path().join("pairs");
    std::fs::write(&first, &pairs).unwrap();
    let lines = |dump: &[u8]| -> BTreeSet<(String, String)> {
        let text = std::str::from_utf8(dump).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.collect()
    };
    let mut dump = first;
    for (number, engine) in ["kvs", "sled", "tokio-fs", "kvs"].iter().enumerate() {
        let data = dir.path().join(format!("data{number}"));
        let server = ServerProcess::start(&data, &["--engine", engine]);
        let to = format!("--addr {}", server.addr);
        client(&format!("load {} {to}", dump.display()))
            .success()
            .stdout("pairs stored: 25000\n");
        let dumped = client(&format!("dump {to}")).success();
        let dumped = &dumped.get_output().stdout;
        assert_eq!(dumped.iter().filter(|byte| **byte == b'\n').count(), 25_000);
        assert!(lines(dumped) == lines(pairs.as_bytes()), "{engine}");
        let keys = client(&format!("keys --prefix key2499 {to}")).success();
        let keys = String::from_utf8(keys.get_output().stdout.clone()).unwrap();
        assert_eq!(keys.lines().count(), 11, "{keys}");
        dump = dir.path().join(format!("dump{number}"));
        std::fs::write(&dump, dumped).unwrap();
    }
}

#[test]
fn a_dump_has_a_pair_that_fits_into_a_frame_but_not_into_one_of_a_page() {
    let dir = tempfile::tempdir().unwrap();
    for engine in ["kvs", "sled"] {
        let data = dir.path().join(engine);
        let server = ServerProcess::start(&data, &["--engine", engine]);
        let mut connection = KvsClient::connect(server.addr).unwrap();
        let mut set = |key: &str, value| connection.set(key.to_owned(), value).unwrap();
        set("a", "before".to_owned());
        let rest = r#"{"Set":{"key":"b","value":""}}"#;
        set("b", "x".repeat(MAX_FRAME_LEN - rest.len()));
        set("c", "after".to_owned());
        let dumped = client(&format!("dump --addr {}", server.addr)).success();
        let dumped = std::str::from_utf8(&dumped.get_output().stdout).unwrap();
        let pairs = dumped.lines().map(|line| {
            let (key, value): (String, String) = serde_json::from_str(line).unwrap();
            (key, value.len())
        });
        let long = MAX_FRAME_LEN - rest.len();
        let expected = [("a", 6), ("b", long), ("c", 5)].map(|(key, len)| (key.to_owned(), len));
        assert!(pairs.eq(expected), "{engine}");
    }
}

#[test]
fn a_dump_names_the_key_of_a_value_that_no_client_can_read() {
    let addr = scripted::serve(|connection| {
        while let Some(request) = connection.next() {
            connection.reply(&match request {
                Request::Scan(Scan {
                    keys_only: true, ..
                }) => Response::Scan(Box::new(Page {
                    pairs: vec![("long".to_owned(), None)],
                    cursor: None,
                })),
                _ => Response::Err {
                    code: ErrorCode::TooLarge,
                    message: "the reply is too long".to_owned(),
                },
            });
        }
    });
    refused(client(&format!("dump --addr {addr}")))
        .code(1)
        .stderr(contains("\"long\"").and(contains("the reply is too long")));
}
