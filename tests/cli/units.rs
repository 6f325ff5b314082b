//! Sizes and times with units.

use predicates::prelude::*;
use predicates::str::contains;

use super::{client, misused, path, server};
use crate::common::{NOBODY, ServerProcess};

#[test]
fn the_server_takes_sizes_and_times_with_and_without_units() {
    for args in [
        &["--max-frame", "1024", "--frame-time", "5"][..],
        &["--max-frame", "1K", "--frame-time", "5s"],
        &["--max-frame", "1KiB", "--frame-time", "5000ms"],
        &["--max-frame", "1 kb", "--reply-time", "2m"],
        &["--max-memory", "512M", "--shutdown-time", "1h"],
        &["--max-memory", "1.5GiB", "--dead-bytes", "64KiB"],
        &["--cache", "1M"],
    ] {
        let dir = tempfile::tempdir().unwrap();
        let server = ServerProcess::start(dir.path(), args);
        client(&format!("set k v --addr {}", server.addr)).success();
        if args[0] == "--max-frame" {
            let long = "v".repeat(1100);
            client(&format!("set k {long} --addr {}", server.addr))
                .code(1)
                .stderr(contains("1024"));
        }
    }
}

#[test]
fn a_time_shorter_than_a_second_counts() {
    use crate::common::Wire;
    let dir = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(dir.path(), &["--frame-time", "200ms"]);
    let mut slow = Wire::connect(server.addr);
    std::io::Write::write_all(&mut slow.0, &[0, 0]).unwrap();
    // The server says why it closes the connection, long before the 20 seconds that `Wire` waits.
    assert!(slow.receive().contains("Err"));
}

#[test]
fn sizes_and_times_that_are_none_are_refused_with_an_example() {
    let dir = tempfile::tempdir().unwrap();
    let at = format!("--addr {NOBODY} --data-dir {}", path(dir.path()));
    for flag in ["--max-frame", "--max-memory", "--dead-bytes", "--cache"] {
        for size in ["0", "0K", "many", "5Q", "-1"] {
            server(&format!("{at} {flag} {size}"))
                .code(2)
                .stderr(contains(flag));
        }
        server(&format!("{at} {flag} x")).stderr(contains("512M"));
    }
    for flag in ["--frame-time", "--reply-time", "--shutdown-time"] {
        for time in ["0", "0s", "soon", "5parsecs", "-1"] {
            server(&format!("{at} {flag} {time}"))
                .code(2)
                .stderr(contains(flag));
        }
        server(&format!("{at} {flag} x")).stderr(contains("500ms"));
    }
    misused(client("get k --timeout x")).stderr(contains("--timeout").and(contains("500ms")));
}
