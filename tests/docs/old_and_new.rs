//! The table of old and new.

use std::fs;
use std::path::Path;

use pulldown_cmark::{Event, Tag, TagEnd};

use super::Page;

const LEAVING: &str = "docs/leaving-futures-0.1.md";

/// Returns the names and bodies of the tests of a module and of its `running.rs`.
fn tests_of(module: &str) -> Vec<(String, String)> {
    let files = [format!("{module}.rs"), format!("{module}/running.rs")];
    let text = files.map(|file| fs::read_to_string(file).unwrap()).concat();
    let tests = text.split("test]\n").skip(1).map(|test| {
        let (head, body) = test.split_once('\n').unwrap();
        let name = head.trim_start_matches("async ").trim_start_matches("fn ");
        let name = name.split('(').next().unwrap();
        let body = body.split("\n}").next().unwrap();
        (name.to_owned(), body.to_owned())
    });
    tests.collect()
}

/// The first cell of a row names a test of each module, and the others show parts of the two tests.
#[test]
fn the_table_of_old_and_new_is_that_of_the_tests() {
    let page = Page::read(Path::new(LEAVING));
    let mut rows: Vec<[(String, Vec<String>); 3]> = Vec::new();
    let (mut row, mut is_body) = (Vec::new(), false);
    for (event, _) in page.events() {
        match event {
            Event::End(TagEnd::TableHead) => (row, is_body) = (Vec::new(), true),
            Event::End(TagEnd::Table) => is_body = false,
            Event::Start(Tag::TableCell) => row.push((String::new(), Vec::new())),
            Event::Text(text) if is_body => row.last_mut().unwrap().0 += &text,
            Event::Code(code) if is_body => row.last_mut().unwrap().1.push(code.to_string()),
            Event::End(TagEnd::TableRow) => rows.extend(std::mem::take(&mut row).try_into()),
            _ => {}
        }
    }
    // Rows of other tables have code in the first cell, or text in the others.
    rows.retain(|[name, old, new]| name.1.is_empty() && old.0.is_empty() && new.0.is_empty());
    let named: Vec<String> = rows
        .iter()
        .map(|[name, ..]| name.0.replace(' ', "_"))
        .collect();

    for (column, module) in [(1, "old"), (2, "new")] {
        let module = format!("tests/old_and_new/{module}");
        let tests = tests_of(&module);
        let names: Vec<&String> = tests.iter().map(|(name, _)| name).collect();
        assert_eq!(
            named.iter().collect::<Vec<_>>(),
            names,
            "{LEAVING}, {module}"
        );
        for (row, (name, body)) in rows.iter().zip(&tests) {
            let shown = &row[column].1;
            assert!(!shown.is_empty(), "{LEAVING} shows nothing of {name}");
            for code in shown {
                assert!(
                    body.lines().any(|line| line.contains(code)),
                    "{LEAVING} shows `{code}`, which is not in {name} of {module}: mend the page"
                );
            }
        }
    }
}
