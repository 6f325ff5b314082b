//! The two programs on the command line.

mod address;
mod check;
mod commands;
#[path = "../common/mod.rs"]
mod common;
mod dump;
mod load;
mod scripted;
mod serving;
mod time_limits;
mod tokens;
mod units;
mod values;

use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use assert_cmd::assert::Assert;
use assert_cmd::cargo::{cargo_bin, cargo_bin_cmd};
use kvs::engine::SyncLevel;
use kvs::server::Limits;
use predicates::prelude::*;
use predicates::str::{contains, is_empty, is_match};

/// Runs `kvs-client` with arguments that are separated by spaces.
fn client(args: &str) -> Assert {
    let mut command = cargo_bin_cmd!("kvs-client");
    command.args(args.split_whitespace()).assert()
}

/// Runs `kvs-client` with a text on stdin.
fn client_reading(args: &str, stdin: impl Into<Vec<u8>>) -> Assert {
    let mut command = cargo_bin_cmd!("kvs-client");
    command.write_stdin(stdin);
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

/// Checks that arguments are refused, with one line on stderr and the exit code for that.
fn misused(assert: Assert) -> Assert {
    let line = is_match(r"^error: .* \(--help shows the usage\)\n$").unwrap();
    refused(assert).code(2).stderr(line)
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
    for program in [
        &mut cargo_bin_cmd!("kvs-client"),
        &mut cargo_bin_cmd!("kvs-server"),
    ] {
        let assert = program.arg("-V").assert().success();
        let version = assert.get_output().stdout.clone();
        let version = String::from_utf8(version).unwrap();
        let lines: Vec<_> = version.trim_end().lines().collect();
        assert!(lines[0].ends_with(env!("CARGO_PKG_VERSION")), "{version}");
        let clients = VARIANTS.iter().filter(|(_, is_there)| *is_there);
        let clients: Vec<_> = clients.map(|(name, _)| *name).collect();
        assert_eq!(lines[1], format!("clients: {}", clients.join(", ")));
        let sled = if cfg!(feature = "sled") { ", sled" } else { "" };
        let cluster = if cfg!(feature = "cluster") {
            ", cluster"
        } else {
            ""
        };
        assert_eq!(lines[2], format!("engines: kvs, tokio-fs{sled}{cluster}"));
    }
}

#[test]
#[cfg(not(feature = "cluster"))]
fn an_engine_that_is_not_compiled_in_is_an_error_that_says_how_to_build_it() {
    server("--engine cluster --addr 127.0.0.1:0").stderr(contains("--features cluster"));
}

#[test]
fn both_programs_explain_themselves() {
    let words = [
        "get",
        "set",
        "rm",
        "keys",
        "dump",
        "load",
        "stats",
        "completions",
        "--addr",
        "--auth-token-file",
        "--timeout",
        "[default: 5s]",
    ];
    let help = client("--help").success();
    words
        .into_iter()
        .fold(help, |help, word| help.stdout(contains(word)));
    let mut server = cargo_bin_cmd!("kvs-server");
    let flags = [
        "--addr",
        "--engine",
        "--data-dir",
        "--sync",
        "--dead-bytes",
        "--cache",
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
    let size = |bytes: usize| format!("{}MiB", bytes / (1 << 20));
    let time = |time: Duration| format!("{}s", time.as_secs());
    let defaults = [
        ("--sync", SyncLevel::default().to_string()),
        ("--max-frame", size(limits.frame_bytes)),
        ("--max-in-flight", limits.in_flight.to_string()),
        ("--max-connections", limits.connections.to_string()),
        ("--max-memory", size(limits.memory_bytes)),
        ("--frame-time", time(limits.frame_time)),
        ("--reply-time", time(limits.reply_time)),
        ("--shutdown-time", time(limits.shutdown_time)),
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

#[test]
fn a_help_text_begins_with_examples() {
    for args in [
        "--help",
        "get --help",
        "set --help",
        "rm --help",
        "keys --help",
        "dump --help",
        "load --help",
        "stats --help",
        "completions --help",
    ] {
        let first = is_match("(?s)^kvs-client( [a-z]+)? [0-9].*EXAMPLES.*USAGE.*OPTIONS").unwrap();
        client(args).success().stdout(first);
    }
    let first = is_match("(?s)^kvs-server.*EXAMPLES.*USAGE.*OPTIONS").unwrap();
    let mut server = cargo_bin_cmd!("kvs-server");
    server.arg("--help").assert().success().stdout(first);
}

#[test]
fn bash_completes_commands_and_their_flags() {
    let script = r#"source <("$0" completions bash)
        COMP_WORDS=(kvs-client "${@}") COMP_CWORD=$#
        _kvs-client
        echo "${COMPREPLY[@]}""#;
    for (words, expected) in [
        (&["sta"][..], "stats\n"),
        (&["get", "--ex"], "--exit-code\n"),
        (&["load", "--fr"], "--from-line\n"),
        (&["get", "key", "--va"], "--variant\n"),
    ] {
        let mut bash = Command::new("bash");
        let bash = bash.args(["--norc", "-c", script]);
        let output = match bash.arg(cargo_bin!("kvs-client")).args(words).output() {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                println!("not shown: there is no bash on this machine");
                return;
            }
            output => output.unwrap(),
        };
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            expected,
            "{words:?}"
        );
    }
}

#[test]
fn completions_are_scripts_for_the_shell() {
    for (shell, part) in [
        ("bash", "complete -F _kvs-client"),
        ("fish", "complete -c kvs-client"),
        ("zsh", "#compdef kvs-client"),
        ("powershell", "Register-ArgumentCompleter"),
        ("elvish", "edit:completion"),
    ] {
        client(&format!("completions {shell}"))
            .success()
            .stdout(contains(part).and(contains("--exit-code")));
    }
    misused(client("completions cmd")).stderr(contains("bash"));
    misused(client("completions"));
}
