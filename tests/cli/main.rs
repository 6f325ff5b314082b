//! The two programs on the command line.

mod check;
mod commands;
#[path = "../common/mod.rs"]
mod common;
mod serving;
mod tokens;

use std::path::Path;

use assert_cmd::assert::Assert;
use assert_cmd::cargo::cargo_bin_cmd;
use predicates::prelude::*;
use predicates::str::{contains, is_empty, is_match};

/// Runs `kvs-client` with arguments that are separated by spaces.
fn client(args: &str) -> Assert {
    let mut command = cargo_bin_cmd!("kvs-client");
    command.args(args.split_whitespace()).assert()
}

/// Runs `kvs-server` with arguments that it should refuse.
fn server(args: &str) -> Assert {
    let mut command = cargo_bin_cmd!("kvs-server");
    let assert = command.args(args.split_whitespace()).assert();
    refused(assert)
}

/// Checks that an error is one line on stderr, with nothing on stdout.
fn refused(assert: Assert) -> Assert {
    let one_line = is_match("^[^\n]+\n$").unwrap();
    assert.failure().stdout(is_empty()).stderr(one_line)
}

fn path(dir: &Path) -> &str {
    dir.to_str().unwrap()
}

/// The clients, and whether each one is compiled into the tests, and so into the programs.
const VARIANTS: &[(&str, bool)] = &[
    ("anon", cfg!(feature = "anon")),
    ("awaited", cfg!(feature = "awaited")),
    ("boxed", cfg!(feature = "boxed")),
    ("explicit", cfg!(feature = "explicit")),
    ("manual", cfg!(feature = "manual")),
    ("pinned", cfg!(feature = "pinned")),
    ("blocking", true),
];

#[test]
fn both_programs_tell_their_version() {
    let version = contains(env!("CARGO_PKG_VERSION"));
    client("-V").success().stdout(version.clone());
    let mut server = cargo_bin_cmd!("kvs-server");
    server.arg("-V").assert().success().stdout(version);
}

#[test]
fn both_programs_explain_themselves() {
    client("--help")
        .success()
        .stdout(contains("get").and(contains("set")).and(contains("rm")));
    let mut server = cargo_bin_cmd!("kvs-server");
    let flags = [
        "--addr",
        "--engine",
        "--data-dir",
        "--sync",
        "--dead-bytes",
        "--auth-token-file",
        "--max-frame",
        "--max-in-flight",
        "--max-connections",
        "--max-memory",
        "--network-threads",
        "--frame-time",
        "--reply-time",
        "--shutdown-time",
        "--verify",
        "--repair",
        "--all",
        "--json",
    ];
    let mut assert = server.arg("--help").assert().success();
    for flag in flags {
        assert = assert.stdout(contains(flag));
    }
}
