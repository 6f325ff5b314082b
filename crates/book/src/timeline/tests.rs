use std::collections::BTreeSet;
use std::fs;

use super::*;
use crate::root;

fn recordings() -> Vec<Scenario> {
    load(&root()).unwrap()
}

#[test]
fn each_step_is_drawn() {
    for scenario in recordings() {
        for recording in &scenario.recordings {
            let svg = draw(recording, "title", true);
            let groups = svg.split("<g data-step=\"").skip(1);
            let steps: Vec<_> = groups
                .map(|group| group.split_once("\">\n").unwrap())
                .collect();
            assert_eq!(steps.len(), recording.steps.len());
            for (n, (number, group)) in steps.iter().enumerate() {
                assert_eq!(number.parse(), Ok(n + 1));
                let drawn = group.split("</g>").next().unwrap();
                assert!(!drawn.is_empty(), "{}: step {number}", scenario.scenario);
            }
        }
    }
}

#[test]
fn the_stills_are_those_of_the_recordings() {
    let again = "run `cargo run --package kvs-book -- stills`";
    let stills = stills(&root()).unwrap();
    for (name, svg) in &stills {
        let file = root().join(STILLS).join(name).with_extension("svg");
        let drawn = fs::read_to_string(&file).unwrap_or_default();
        assert!(drawn == *svg, "{file:?} is not current: {again}");
    }
    let names: BTreeSet<_> = stills.into_iter().map(|(name, _)| name + ".svg").collect();
    for entry in fs::read_dir(root().join(STILLS)).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(names.contains(&name), "no recording has the still {name}");
    }
}

#[test]
fn the_player_gets_each_sentence_and_the_lines_of_the_code() {
    let script = script(&root()).unwrap();
    for scenario in recordings() {
        for step in scenario.recordings.iter().flat_map(|it| &it.steps) {
            let says = serde_json::to_string(&step.says).unwrap();
            assert!(script.contains(&says), "{says}");
        }
    }
    assert!(script.contains(r#""file":"variants/manual.rs","first":"#));
}

#[test]
fn a_line_that_a_file_does_not_have_is_an_error_with_both() {
    let code = Code {
        file: "variants/manual.rs".to_owned(),
        line: "no such line".to_owned(),
        lines: 1,
    };
    let error = code.find(&root()).unwrap_err().to_string();
    assert!(error.contains("no such line") && error.contains("variants/manual.rs"));
}
