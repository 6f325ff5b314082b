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
use kvs::engine::SyncLevel;
use kvs::server::Limits;
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

#[test]
fn the_help_shows_the_defaults_of_the_library() {
    let limits = Limits::default();
    let defaults = [
        ("--sync", SyncLevel::default().to_string()),
        ("--max-frame", limits.frame_bytes.to_string()),
        ("--max-in-flight", limits.in_flight.to_string()),
        ("--max-connections", limits.connections.to_string()),
        ("--max-memory", limits.memory_bytes.to_string()),
        ("--frame-time", limits.frame_time.as_secs().to_string()),
        ("--reply-time", limits.reply_time.as_secs().to_string()),
        (
            "--shutdown-time",
            limits.shutdown_time.as_secs().to_string(),
        ),
    ];
    let help = cargo_bin_cmd!("kvs-server").arg("--help").assert();
    let help = String::from_utf8(help.success().get_output().stdout.clone()).unwrap();
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for (flag, default) in defaults {
        let (_, text) = help.split_once(&format!(" {flag} <")).unwrap();
        let (text, _) = text.split_once(" --").unwrap_or((text, ""));
        assert!(
            text.contains(&format!("[default: {default}]")),
            "{flag} {text}"
        );
    }
}
