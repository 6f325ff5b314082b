//! The report of `--verify` and `--repair`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use assert_cmd::assert::Assert;
use assert_cmd::cargo::cargo_bin;
use futures::Future;
use kvs::KvsEngine;
use predicates::prelude::*;
use predicates::str::contains;

use super::{Pool, check, files, names, options, value};

#[test]
fn a_report_shows_the_first_losses_and_all_of_them_if_asked_to() {
    let dir = tempfile::tempdir().unwrap();
    write_until_there_are_hints(dir.path());
    let cut = cut_sealed_segments(dir.path());
    assert!(cut >= 2, "{cut} segments with hints");
    let run = |how: &[&str]| check(Command::new(cargo_bin!("kvs-server")), how, dir.path());
    let lines = |assert: &Assert| {
        let out = String::from_utf8(assert.get_output().stdout.clone()).unwrap();
        out.lines().filter(|line| line.contains("is lost")).count()
    };
    let all = run(&["--verify", "--all"]).code(1);
    let lost = lines(&all);
    assert!(lost > 20, "{lost}");
    let some = run(&["--verify"]).code(1);
    assert!(lines(&some) <= 10);
    let json = run(&["--verify", "--json"]).code(1);
    let report: serde_json::Value = serde_json::from_slice(&json.get_output().stdout).unwrap();
    let more = report["lost"].as_array().unwrap().len() - 10;
    some.stdout(contains(format!(
        "and {more} more losses (--all shows them)"
    )));
    all.stdout(contains("--all").not());
    check_fields(&report);

    let json = run(&["--repair", "--json"]).success();
    let report: serde_json::Value = serde_json::from_slice(&json.get_output().stdout).unwrap();
    assert_eq!(report["kept"].as_array().unwrap().len(), cut);
    let json = run(&["--verify", "--json"]).success();
    let report: serde_json::Value = serde_json::from_slice(&json.get_output().stdout).unwrap();
    assert_eq!(report["damage"], serde_json::json!([]));
    for flag in ["--json", "--all"] {
        run(&[flag])
            .failure()
            .stderr(contains("--verify").and(contains("--repair")));
    }
}

/// Writes a store that has five segments with hints.
fn write_until_there_are_hints(dir: &Path) {
    let store = options().dead_bytes(u64::MAX).open::<Pool>(dir, 2).unwrap();
    let is_hints = |path: &PathBuf| path.extension() == Some("hints".as_ref());
    let mut n = 0;
    // Hints are written in the background.
    while names(dir).filter(is_hints).count() < 5 {
        store.set(format!("key{n}"), value("it", n)).wait().unwrap();
        n += 1;
        assert!(n < 10_000, "no hints");
    }
}

/// Cuts off the records of each segment with hints, which still have the keys. Returns the number
/// of these segments.
fn cut_sealed_segments(dir: &Path) -> usize {
    let mut cut = 0;
    for file in files(dir).keys() {
        let is_sealed = file.with_extension("hints").exists();
        if is_sealed && file.extension() == Some("segment".as_ref()) {
            let segment = fs::File::options().write(true).open(file).unwrap();
            segment.set_len(60).unwrap();
            cut += 1;
        }
    }
    cut
}

/// Checks the fields of a report of `--verify --json`.
fn check_fields(report: &serde_json::Value) {
    for count in ["segments", "records", "keys", "bytes"] {
        assert!(report[count].is_u64(), "{count}");
    }
    assert!(report["torn"].is_null());
    assert_eq!(report["kept"], serde_json::json!([]));
    let place = &report["damage"][0];
    assert!(place["file"].as_str().unwrap().ends_with(".segment"));
    assert!(place["offset"].is_u64() && place["len"].is_u64() && place["reason"].is_string());
    let losses = report["lost"].as_array().unwrap();
    let value = losses.iter().find(|lost| lost["kind"] == "value").unwrap();
    assert!(value["key"].as_str().unwrap().starts_with("key"));
    assert_eq!(value["older_is_back"], false);
}
