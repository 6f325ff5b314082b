//! The commands of the client.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;

use assert_cmd::cargo::{cargo_bin, cargo_bin_cmd};
use predicates::prelude::*;
use predicates::str::contains;

use super::{VARIANTS, client, misused, refused};
use crate::common::{NOBODY, ServerProcess};

#[test]
fn every_client_that_is_compiled_in_does_every_command() {
    let dir = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(dir.path(), &[]);
    for (variant, _) in VARIANTS.iter().filter(|(_, is_there)| *is_there) {
        let to = format!("--addr {} --variant {variant}", server.addr);
        client(&format!("get key {to}"))
            .success()
            .stdout("Key not found\n");
        client(&format!("set key {variant} {to}"))
            .success()
            .stdout("")
            .stderr("");
        client(&format!("get key {to}"))
            .success()
            .stdout(format!("{variant}\n"));
        client(&format!("rm key {to}"))
            .success()
            .stdout("")
            .stderr("");
        client(&format!("rm key {to}"))
            .code(1)
            .stdout("")
            .stderr("Key not found\n");
        refused(client(&format!(
            "get key --variant {variant} --addr {NOBODY}"
        )))
        .stderr(contains(NOBODY.to_string()).and(contains("kvs-server")));
    }
}

#[test]
fn a_client_that_is_not_there_is_refused_with_those_that_are() {
    let unknown = misused(client("get key --variant nonsense"));
    let unknown = unknown.stderr(contains("nonsense"));
    VARIANTS
        .iter()
        .filter(|(_, is_there)| *is_there)
        .fold(unknown, |unknown, (there, _)| {
            unknown.stderr(contains(*there))
        });
    for (missing, _) in VARIANTS.iter().filter(|(_, is_there)| !is_there) {
        let misused = misused(client(&format!("get key --variant {missing}")));
        misused.stderr(contains("blocking").and(contains(format!("--features {missing}"))));
    }
}

#[test]
fn the_client_refuses_invalid_arguments_with_one_line() {
    misused(client("")).stderr(contains("command is missing").and(lists_the_commands()));
    for args in [
        "get",
        "set k",
        "set k v more",
        "rm",
        "rm k more",
        "get k --unknown",
        "get k --addr",
        "load file more",
        "load --from-line x",
        "keys more",
        "get k --timeout never",
        "get k --timeout 0",
    ] {
        misused(client(args)).stderr(contains("--help"));
    }
    for args in [
        "get k --addr nowhere",
        "set k v --addr 127.0.0.1",
        "rm k --addr 1.2.3.4:x",
        "keys --addr ::1:4000",
        "keys --addr :4000",
        "keys --addr localhost:65536",
    ] {
        misused(client(args))
            .stderr(contains("--addr <HOST:PORT>").and(contains("localhost:4000")));
    }
}

#[test]
fn an_unknown_command_is_refused_with_those_that_exist() {
    for args in ["unknown k", "gett k", "--addr localhost:1 del k"] {
        misused(client(args)).stderr(lists_the_commands());
    }
}

#[test]
fn a_command_after_two_dashes_is_refused() {
    for args in [
        "-- get k",
        "-- set k v",
        "-- stats",
        "--addr localhost:1 -- keys",
    ] {
        misused(client(args)).stderr(contains("before --"));
    }
    misused(client("-- unknown k")).stderr(lists_the_commands());
}

fn lists_the_commands() -> impl Predicate<str> {
    contains("get, set, rm, keys, dump, load, stats, completions")
}

#[test]
fn arguments_that_are_not_utf_8_are_refused_with_one_line() {
    let not_utf_8 = OsStr::from_bytes(b"\xff");
    for flag in ["--addr", "--engine", "--sync", "--", "--data"] {
        let mut server = cargo_bin_cmd!("kvs-server");
        misused(server.args([OsStr::new(flag), not_utf_8]).assert());
    }
    let mut client = cargo_bin_cmd!("kvs-client");
    misused(client.args([OsStr::new("get"), not_utf_8]).assert());
}

#[test]
fn a_full_stdout_is_an_error_and_no_panic() {
    let full = || fs::File::create("/dev/full").unwrap();
    for args in [&["--help"][..], &["-V"]] {
        let mut client = Command::new(cargo_bin!("kvs-client"));
        let output = client.args(args).stdout(full()).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
    }
}

#[test]
fn the_client_names_the_address_that_it_cannot_reach() {
    refused(client(&format!("get k --addr {NOBODY}")))
        .stderr(contains(NOBODY.to_string()).and(contains("kvs-server")));
}

#[test]
fn values_are_set_got_and_removed_and_survive_a_kill() {
    for args in [
        &["--engine", "kvs"][..],
        &["--engine", "sled", "--sync", "always"],
        &["--sync", "always"],
        &["--sync", "never"],
    ] {
        let dir = tempfile::tempdir().unwrap();
        let mut server = ServerProcess::start(dir.path(), args);
        let run = |command: &str, addr| client(&format!("{command} --addr {addr}"));

        run("get key1", server.addr)
            .success()
            .stdout("Key not found\n");
        run("set key1 value1", server.addr)
            .success()
            .stdout("")
            .stderr("");
        run("set key2 value2", server.addr)
            .success()
            .stdout("")
            .stderr("");
        run("get key1", server.addr).success().stdout("value1\n");
        run("set key1 value3", server.addr).success();
        run("rm key2", server.addr).success().stdout("").stderr("");
        run("rm key2", server.addr)
            .code(1)
            .stdout("")
            .stderr("Key not found\n");

        server.kill();
        let server = ServerProcess::start(dir.path(), args);
        run("get key1", server.addr).success().stdout("value3\n");
        run("get key2", server.addr)
            .success()
            .stdout("Key not found\n");
        run("set key3 -5", server.addr).success();
        run("get key3", server.addr).success().stdout("-5\n");
        run("get key1 --variant blocking", server.addr)
            .success()
            .stdout("value3\n");
    }
}

#[test]
fn stats_tell_how_the_server_is_doing() {
    let dir = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(dir.path(), &["--sync", "always"]);
    let run = |command: &str| client(&format!("{command} --addr {}", server.addr));
    run("stats").success().stdout(contains("errors: none\n"));
    run("set key value").success();
    run("rm other").failure();
    let text = run("stats").success();
    let expected = [
        "connections: 1 now, 4 in all",
        "requests: Auth 0, Get 0, Remove 1, Scan 0, Set 1, Stats 2",
        "errors: key_not_found 1",
        "engine: kvs, sync always",
        "keys: 1",
        "32 live, 0 dead, in 1 segments",
        "last compaction: none",
    ];
    expected
        .into_iter()
        .fold(text, |text, line| text.stdout(contains(line)));
    let json = run("stats --json").success().get_output().stdout.clone();
    let stats: kvs::protocol::Stats = serde_json::from_slice(&json).unwrap();
    assert_eq!(stats.requests["Stats"], 3);
    assert_eq!(stats.latencies["Set"].count, 1);
    assert_eq!(stats.engine.keys, Some(1));
}

#[test]
fn stats_have_the_text_format_of_prometheus() {
    let dir = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(dir.path(), &[]);
    let run = |command: &str| client(&format!("{command} --addr {}", server.addr));
    run("set key value").success();
    run("rm other").failure();
    let stats = run("stats --prometheus")
        .success()
        .get_output()
        .stdout
        .clone();
    let stats = String::from_utf8(stats).unwrap();
    let is_sample = |line: &str| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        name.starts_with("kvs_") && value.parse::<f64>().is_ok()
    };
    for line in stats.lines() {
        assert!(line.starts_with("# ") || is_sample(line), "{line}");
    }
    for line in [
        "# TYPE kvs_requests_total counter",
        r#"kvs_requests_total{kind="Set"} 1"#,
        r#"kvs_errors_total{code="key_not_found"} 1"#,
        "kvs_connections 1",
        "kvs_keys 1",
    ] {
        assert!(stats.lines().any(|it| it == line), "{line} {stats}");
    }
    assert!(stats.contains(r#"kvs_latency_seconds{kind="Set",quantile="0.99"} 0.0"#));
}
