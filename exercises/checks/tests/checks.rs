//! Starters fail as they should, solutions pass, and wrong solutions fail with a message that helps.
//!
//! `ONLY=lazy,timeout cargo test -p checks` checks these exercises only.

use std::collections::{HashMap, HashSet};
use std::env;
use std::fs;
use std::iter;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};
use std::thread;

use checks::{Built, Exercise, ROOT, build, exercises};

/// The folder of a package for the wrong solutions. The paths in its manifest begin there.
const WRONG: &str = "target/wrong";

/// The exercises that this run checks.
fn chosen() -> Vec<Exercise> {
    let mut chosen = exercises();
    if let Ok(only) = env::var("ONLY") {
        chosen.retain(|exercise| only.split(',').any(|name| name == exercise.name));
    }
    assert!(!chosen.is_empty(), "ONLY names no exercise");
    chosen
}

/// Returns the program of a starter or a solution.
fn built(name: &str) -> &'static Built {
    static BUILT: OnceLock<HashMap<String, Built>> = OnceLock::new();
    let built = BUILT.get_or_init(|| build(Path::new(ROOT)));
    let built = built.get(name);
    built.unwrap_or_else(|| panic!("Cargo.toml has no {name}: run `rustlings dev update`"))
}

/// Runs `check` for each exercise, four at a time, and fails with all its reports. A wrong solution
/// often waits for a wake-up, which takes time and no processor.
fn for_each(check: impl Fn(&Exercise) -> Vec<String> + Sync) {
    let chosen = chosen();
    let next = Mutex::new(chosen.iter());
    let run = || {
        let take = || next.lock().unwrap().next();
        iter::from_fn(take).flat_map(&check).collect::<Vec<_>>()
    };
    let wrong = thread::scope(|scope| {
        let threads = [(); 4].map(|()| scope.spawn(run));
        threads.map(|thread| thread.join().unwrap()).concat()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

fn named(name: &str, result: Result<(), String>) -> Option<String> {
    result.err().map(|error| format!("{name}: {error}"))
}

#[test]
fn each_starter_fails_as_it_should() {
    for_each(|exercise| {
        let result = built(&exercise.name).fails_with(&exercise.failure());
        named(&exercise.name, result).into_iter().collect()
    });
}

#[test]
fn each_solution_passes_in_time() {
    for_each(|exercise| {
        let name = format!("{}_sol", exercise.name);
        let result = built(&name).succeeds();
        named(&name, result).into_iter().collect()
    });
}

#[test]
fn a_solution_has_the_tests_of_its_starter_and_each_test_a_time_limit() {
    for exercise in chosen() {
        let (_, tests) = exercise.parts("exercises");
        assert_eq!(exercise.parts("solutions").1, tests, "{}", exercise.name);
        let limits = tests.matches("within_time(").count();
        let count = tests.matches("#[test]").count();
        // The tests of the harness have time limits of their own.
        let harness = ["support::one_at_a_time!", "support::scans!"];
        let is_limited = limits >= count || harness.iter().any(|calls| tests.contains(calls));
        assert!(is_limited, "{}: a test without a time limit", exercise.name);
    }
}

#[test]
fn each_file_belongs_to_an_exercise() {
    let list = |folder: PathBuf| {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().path())
    };
    let exercises = exercises();
    let names: HashSet<_> = exercises.iter().map(|exercise| &*exercise.name).collect();
    let root = Path::new(ROOT);
    let programs = ["exercises", "solutions"].map(|folder| list(root.join(folder)).flat_map(list));
    let wrong = list(root.join("checks/wrong"));
    for path in programs.into_iter().flatten().chain(wrong) {
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert!(names.contains(name), "not in info.toml: {}", path.display());
    }
}

#[test]
fn each_wrong_solution_fails_with_a_message_that_helps() {
    let package = Path::new(ROOT).join(WRONG);
    write_package(&package);
    let built = build(&package);
    for_each(|exercise| {
        let wrong = exercise.wrong();
        assert!(!wrong.is_empty(), "{} has no wrong solution", exercise.name);
        let failures = wrong.iter().filter_map(|wrong| {
            let name = format!("{}__{}", exercise.name, wrong.name);
            let result = built[&name].fails_with(&wrong.failure);
            named(&name, result)
        });
        failures.collect()
    });
}

#[test]
fn the_starters_of_clients_and_pool_are_the_skeletons_of_the_course() {
    let root = Path::new(ROOT);
    for (skeleton, starter) in [
        ("boxed", "09_clients/client_boxed"),
        ("explicit", "09_clients/client_explicit"),
        ("anon", "09_clients/client_anon"),
        ("manual", "09_clients/client_manual"),
        ("pool", "07_cancel/pool"),
    ] {
        let skeleton = root.join(format!("../examples/start/{skeleton}.rs"));
        let skeleton = fs::read_to_string(skeleton).unwrap();
        let (_, code) = skeleton.split_once("#![allow(").unwrap();
        let text = fs::read_to_string(root.join(format!("exercises/{starter}.rs"))).unwrap();
        assert!(text.contains(code), "{starter}");
    }
}

/// Writes a package whose programs are the wrong solutions, each with the tests of its exercise.
fn write_package(dir: &Path) {
    let programs = dir.join("src/bin");
    let _ = fs::remove_dir_all(dir);
    fs::create_dir_all(&programs).unwrap();
    for exercise in chosen() {
        let (_, tests) = exercise.parts("exercises");
        for wrong in exercise.wrong() {
            let file = format!("{}__{}.rs", exercise.name, wrong.name);
            fs::write(programs.join(file), wrong.code + "\n" + &tests).unwrap();
        }
    }
    let manifest = fs::read_to_string(Path::new(ROOT).join("Cargo.toml")).unwrap();
    // The same dependencies and the same profile, so that nothing is compiled twice.
    let (_, rest) = manifest.split_once("[package]").unwrap();
    let rest = rest
        .replace(r#"members = ["checks", "support"]"#, "")
        .replace(r#"path = "..""#, r#"path = "../../..""#)
        .replace(r#"path = "support""#, r#"path = "../../support""#);
    fs::write(dir.join("Cargo.toml"), format!("[package]{rest}")).unwrap();
    let lock = Path::new(ROOT).join("Cargo.lock");
    fs::copy(lock, dir.join("Cargo.lock")).unwrap();
}
