//! `--verify` and `--repair`.

use std::fs;
use std::path::Path;

use assert_cmd::assert::Assert;
use assert_cmd::cargo::cargo_bin_cmd;
use predicates::prelude::*;
use predicates::str::{contains, is_empty};

use super::{client, path, refused, server};
use crate::common::ServerProcess;

/// Runs `kvs-server` on a data directory, with a flag that does not serve it.
fn look_over(dir: &Path, how: &str) -> Assert {
    let mut command = cargo_bin_cmd!("kvs-server");
    command.args([how, "--data-dir"]).arg(dir).assert()
}

#[test]
fn verify_and_repair_report_damage_and_repairs() {
    let dir = tempfile::tempdir().unwrap();
    let mut process = ServerProcess::start(dir.path(), &[]);
    for key in ["first", "second", "third"] {
        client(&format!("set {key} value --addr {}", process.addr)).success();
    }
    process.kill();
    look_over(dir.path(), "--verify")
        .success()
        .stdout("segments: 1, bytes: 159, sound records: 3, keys: 3\nsound\n")
        .stderr(is_empty());

    let segment = dir.path().join("0000000001.segment");
    let mut bytes = fs::read(&segment).unwrap();
    bytes[56 + 24 + 5] ^= 1; // the first byte of the first value
    fs::write(&segment, &bytes).unwrap();
    let damaged = format!("{segment:?} is damaged at byte 56: ");
    server(&format!(
        "--addr 127.0.0.1:0 --data-dir {}",
        path(dir.path())
    ))
    .stderr(
        contains(&damaged)
            .and(contains("--verify"))
            .and(contains("--repair")),
    );
    look_over(dir.path(), "--verify")
        .failure()
        .stdout(contains(&damaged).and(contains("first")))
        .stderr(contains("damaged in 1 place"));
    assert_eq!(fs::read(&segment).unwrap(), bytes, "verify changes nothing");

    let kept = dir.path().join("0000000001.segment.damaged1");
    look_over(dir.path(), "--repair")
        .success()
        .stdout(contains("first").and(contains(path(&kept))));
    assert_eq!(fs::read(kept).unwrap(), bytes);
    look_over(dir.path(), "--repair")
        .success()
        .stdout(contains("keys: 2"));
    let server = ServerProcess::start(dir.path(), &[]);
    for (key, value) in [("first", "Key not found\n"), ("second", "value\n")] {
        client(&format!("get {key} --addr {}", server.addr))
            .success()
            .stdout(value);
    }
}

#[test]
fn verify_and_repair_refuse_a_directory_without_a_log_or_in_use() {
    let dir = tempfile::tempdir().unwrap();
    for how in ["--verify", "--repair"] {
        refused(look_over(dir.path(), how)).stderr(contains("--data-dir"));
        let nowhere = dir.path().join("nowhere");
        refused(look_over(&nowhere, how)).stderr(contains("nowhere"));
        assert!(!nowhere.exists());
    }
    server("--verify --repair").stderr(contains("--repair"));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);

    let process = ServerProcess::start(dir.path(), &[]);
    refused(look_over(dir.path(), "--repair")).stderr(contains("in use"));
    drop(process);
    let other = tempfile::tempdir().unwrap();
    ServerProcess::start(other.path(), &["--engine", "sled"]).kill();
    refused(look_over(other.path(), "--verify")).stderr(contains("engine kvs"));
}

#[test]
fn verify_and_repair_refuse_the_flags_of_a_serving_server() {
    let dir = tempfile::tempdir().unwrap();
    ServerProcess::start(dir.path(), &[]).kill();
    for how in ["--verify", "--repair"] {
        for flag in [
            "--addr 127.0.0.1:0",
            "--engine kvs",
            "--sync always",
            "--dead-bytes 1",
            "--auth-token-file token",
            "--max-frame 1",
            "--max-in-flight 1",
            "--max-connections 1",
            "--max-memory 1",
            "--network-threads 1",
            "--frame-time 1",
            "--reply-time 1",
            "--shutdown-time 1",
        ] {
            let args = format!("{how} {flag} --data-dir {}", path(dir.path()));
            let (name, _) = flag.split_once(' ').unwrap();
            server(&args).stderr(contains(name).and(contains("cannot be used with")));
        }
        look_over(dir.path(), how).success();
    }
}

#[test]
fn a_damaged_name_of_the_engine_is_repaired() {
    let dir = tempfile::tempdir().unwrap();
    let mut process = ServerProcess::start(dir.path(), &[]);
    client(&format!("set key value --addr {}", process.addr)).success();
    process.kill();
    let marker = dir.path().join("kvs-engine");
    fs::write(&marker, "kvt\n").unwrap();
    server(&format!(
        "--addr 127.0.0.1:0 --data-dir {}",
        path(dir.path())
    ))
    .stderr(contains("kvs-engine").and(contains("--repair")));
    refused(look_over(dir.path(), "--verify")).stderr(contains("kvs-engine"));
    look_over(dir.path(), "--repair").success();
    assert_eq!(fs::read_to_string(&marker).unwrap(), "kvs\n");
    let process = ServerProcess::start(dir.path(), &[]);
    client(&format!("get key --addr {}", process.addr))
        .success()
        .stdout("value\n");
}
