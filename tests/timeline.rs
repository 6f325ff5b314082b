//! The recordings in `docs/timeline`: another run gives the same steps in the same order.
#![cfg(all(
    feature = "anon",
    feature = "awaited",
    feature = "boxed",
    feature = "explicit",
    feature = "manual",
    feature = "pinned",
    feature = "server",
    feature = "cli"
))]

#[path = "../examples/timeline/recorder/mod.rs"]
mod recorder;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use recorder::log::{Recording, Scenario, Step};

const FOLDER: &str = "docs/timeline";
const AGAIN: &str = "run `cargo run --all-features --example timeline`, and look at the difference";

fn recorded(name: &str) -> Scenario {
    let file = Path::new(FOLDER).join(name).with_extension("json");
    let json =
        fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file:?}: {error}: {AGAIN}"));
    serde_json::from_str(&json).unwrap_or_else(|error| panic!("{file:?}: {error}: {AGAIN}"))
}

/// Returns the steps of each task, of the wire and of the executor, in their order.
fn by_task(recording: &Recording) -> BTreeMap<&str, Vec<&Step>> {
    let mut tasks: BTreeMap<&str, Vec<&Step>> = BTreeMap::new();
    for step in &recording.steps {
        tasks.entry(step.event.task()).or_default().push(step);
    }
    tasks
}

#[test]
fn another_run_has_the_same_steps_in_the_same_order_for_each_task() {
    for name in recorder::names() {
        let (old, new) = (recorded(name), recorder::record(name).unwrap());
        assert_eq!(
            old.recordings.len(),
            new.recordings.len(),
            "{name}: {AGAIN}"
        );
        for (old, new) in old.recordings.iter().zip(&new.recordings) {
            let place = format!("{name}, {}", old.client);
            assert_eq!(
                (&old.client, &old.tasks),
                (&new.client, &new.tasks),
                "{place}"
            );
            let (old, new) = (by_task(old), by_task(new));
            assert!(old.keys().eq(new.keys()), "{place}: other tasks: {AGAIN}");
            for (task, steps) in old {
                for (n, (old, new)) in steps.iter().zip(&new[task]).enumerate() {
                    assert_eq!(old, new, "{place}, step {} of the {task}: {AGAIN}", n + 1);
                }
                assert_eq!(steps.len(), new[task].len(), "{place}, {task}: {AGAIN}");
            }
        }
    }
}

#[test]
fn each_recording_has_a_scenario() {
    let files = fs::read_dir(FOLDER).unwrap();
    let files: BTreeSet<_> = files
        .map(|file| file.unwrap().path().file_stem().unwrap().to_owned())
        .collect();
    let names: BTreeSet<_> = recorder::names().map(Into::into).collect();
    assert_eq!(files, names);
}

#[test]
fn the_lines_of_a_step_are_in_the_file() {
    for name in recorder::names() {
        for recording in recorded(name).recordings {
            for code in recording.steps.iter().filter_map(|step| step.code.as_ref()) {
                let text = fs::read_to_string(&code.file).unwrap();
                let mut lines = text.lines().skip_while(|line| *line != code.line);
                assert!(
                    lines.by_ref().count() >= code.lines,
                    "{name}, {}: {} has no line {:?}",
                    recording.client,
                    code.file,
                    code.line
                );
            }
        }
    }
}
