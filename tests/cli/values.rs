//! The forms of `get`, `set` and `rm`: values from files, for programs and for scripts.

use std::fs;

use predicates::prelude::*;
use predicates::str::contains;

use super::{VARIANTS, client, client_reading, misused, path, refused};
use crate::common::ServerProcess;

#[test]
fn a_value_is_read_from_stdin_or_from_a_file_byte_by_byte() {
    let dir = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(&dir.path().join("data"), &[]);
    // An argument has at most 128 KiB.
    let long = "long\n".repeat(2_500_000);
    let file = dir.path().join("value");
    let to = format!("--addr {}", server.addr);
    for value in ["", "text", "two\nlines\r\n", &long] {
        client_reading(&format!("set stdin - {to}"), value)
            .success()
            .stdout("");
        fs::write(&file, value).unwrap();
        client(&format!("set file --file {} {to}", path(&file)))
            .success()
            .stdout("");
        for key in ["stdin", "file"] {
            let got = client(&format!("get --raw {key} {to}")).success();
            assert!(got.get_output().stdout == value.as_bytes());
        }
    }
}

#[test]
fn a_value_that_cannot_be_stored_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(&dir.path().join("data"), &[]);
    let to = format!("--addr {}", server.addr);
    let set = format!("set k - {to}");
    refused(client_reading(&set, b"\xff")).stderr(contains("stdin is not UTF-8"));
    let longest = 16 << 20;
    for len in [longest, longest + 1] {
        refused(client_reading(&set, "x".repeat(len))).stderr(contains(longest.to_string()));
    }
    let endless = client(&format!("set k --file /dev/zero {to}"));
    refused(endless).stderr(contains("/dev/zero").and(contains("16777216")));
    refused(client(&format!("set k --file nowhere {to}"))).stderr(contains("nowhere"));
    misused(client(&format!("set k v --file x {to}"))).stderr(contains("--file"));
    client(&format!("get k {to}"))
        .success()
        .stdout("Key not found\n");
}

#[test]
fn every_client_gets_several_keys_in_their_order() {
    let dir = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(dir.path(), &[]);
    client(&format!("set a 1 --addr {}", server.addr)).success();
    client(&format!("set b 2 --addr {}", server.addr)).success();
    for (variant, _) in VARIANTS.iter().filter(|(_, is_there)| *is_there) {
        let to = format!("--addr {} --variant {variant}", server.addr);
        client(&format!("get b c a b {to}"))
            .success()
            .stdout("2\nKey not found\n1\n2\n");
        client(&format!("get b c --exit-code a {to}"))
            .code(3)
            .stdout("2\n1\n")
            .stderr("Key not found: \"c\"\n");
    }
}

#[test]
fn raw_prints_the_value_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(dir.path(), &[]);
    let to = format!("--addr {}", server.addr);
    client(&format!("set k v {to}")).success();
    client(&format!("get --raw k {to}")).success().stdout("v");
    client(&format!("get --raw missing {to}"))
        .code(3)
        .stdout("")
        .stderr("Key not found: \"missing\"\n");
    misused(client(&format!("get --raw k k {to}"))).stderr(contains("--raw"));
    misused(client(&format!("get --raw --json k {to}"))).stderr(contains("--json"));
}

#[test]
fn json_tells_a_missing_key_from_a_value() {
    let dir = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(dir.path(), &[]);
    let to = format!("--addr {}", server.addr);
    client_reading(&format!("set k - {to}"), "\"two\"\nlines").success();
    client(&format!("get --json k missing {to}"))
        .success()
        .stdout("\"\\\"two\\\"\\nlines\"\nnull\n");
    client(&format!("get --json missing --exit-code {to}"))
        .code(3)
        .stdout("null\n")
        .stderr(contains("Key not found"));
}

#[test]
fn a_missing_key_is_an_exit_code_for_scripts_that_ask_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(dir.path(), &[]);
    for (variant, _) in VARIANTS.iter().filter(|(_, is_there)| *is_there) {
        let to = format!("--addr {} --variant {variant}", server.addr);
        client(&format!("set k v {to}")).success();
        client(&format!("get --exit-code k {to}"))
            .success()
            .stdout("v\n");
        for command in ["get", "rm"] {
            client(&format!("{command} --exit-code missing {to}"))
                .code(3)
                .stdout("")
                .stderr("Key not found: \"missing\"\n");
        }
        client(&format!("rm --exit-code k {to}")).success();
    }
}
