//! The book in a real browser: readable in both themes, on a window and on a phone, without dead
//! links, and with a player that can be walked through. Each check is shown to find a fault.
//!
//! The browser is the Chromium of the system, and `chromedriver` drives it.

mod checks;
mod faults;
mod webdriver;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use checks::Links;
use serde_json::Value;
use webdriver::Browser;

/// Makes the book once for all tests, and returns its folder.
fn book() -> &'static Path {
    static BOOK: OnceLock<PathBuf> = OnceLock::new();
    BOOK.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("book");
        kvs_book::build(&folder).unwrap();
        folder
    })
}

#[track_caller]
fn expect_nothing(found: &[String]) {
    assert!(
        found.is_empty(),
        "{} places:\n{}",
        found.len(),
        found.join("\n")
    );
}

/// Returns each recording: its scenario, its client, the number of its steps, and its last sentence.
fn recordings() -> Vec<(String, String, usize, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut recordings = Vec::new();
    for entry in fs::read_dir(kvs_book::root().join("docs/timeline")).unwrap() {
        let json = fs::read_to_string(entry.unwrap().path()).unwrap();
        let scenario: Value = serde_json::from_str(&json).unwrap();
        for recording in scenario["recordings"].as_array().unwrap() {
            let steps = recording["steps"].as_array().unwrap();
            recordings.push((
                text(&scenario["scenario"]),
                text(&recording["client"]),
                steps.len(),
                text(&steps.last().unwrap()["says"]),
            ));
        }
    }
    recordings
}

/// Returns the titles of the pages in `docs/`.
fn chapters() -> Vec<String> {
    let mut chapters = Vec::new();
    for entry in fs::read_dir(kvs_book::root().join("docs")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "md")
            && !path.ends_with("SUMMARY.md")
        {
            let text = fs::read_to_string(&path).unwrap();
            let title = text
                .lines()
                .find_map(|line| line.strip_prefix("# "))
                .unwrap();
            // mdBook turns apostrophes into curly ones.
            chapters.push(title.replace('`', "").replace('\'', "’"));
        }
    }
    chapters
}

#[test]
fn every_page_is_readable_in_both_themes_and_widths_and_every_link_leads_somewhere() {
    let browser = Browser::start();
    let pages = checks::pages(book());
    assert!(pages.len() > 100);
    let (mut found, mut links) = (Vec::new(), Links::default());
    for page in &pages {
        found.extend(checks::look(&browser, book(), page));
        links.add(&browser, page);
    }
    found.extend(links.check(book()));
    expect_nothing(&found);
}

#[test]
fn no_label_of_a_picture_is_clipped_or_under_another() {
    let browser = Browser::start();
    let mut found = Vec::new();
    for folder in ["pictures", "pictures/timeline", "performance"] {
        for entry in fs::read_dir(book().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "svg") {
                found.extend(checks::look_at_picture(&browser, &path));
            }
        }
    }
    expect_nothing(&found);
}

#[test]
fn search_finds_errors_names_and_words() {
    let browser = Browser::start();
    let mut found = Vec::new();
    for (word, page) in [
        ("E0277", "pin.html"),
        ("E0308", "types.html"),
        ("E0282", "types.html"),
        ("E0716", "part-4-anonymous.html"),
        ("loop_fn", "part-2-boxed.html"),
        ("project_replace", "pin.html"),
        ("poll_cancel", "cancellation.html"),
        ("fdatasync", "guarantees.html"),
        ("buffer_unordered", "streams.html"),
        ("systemd", "running-it.html"),
    ] {
        let results = checks::search(&browser, book(), word);
        if !results.iter().any(|result| result.contains(page)) {
            found.push(format!("{word} is not found on {page}, but on {results:?}"));
        }
    }
    expect_nothing(&found);
}

#[test]
fn the_printed_book_has_every_chapter_and_picture_and_cuts_no_code() {
    expect_nothing(&checks::look_at_print(
        &Browser::start(),
        book(),
        &chapters(),
    ));
}

#[test]
fn each_timeline_can_be_walked_by_keys_to_the_end_of_its_recording() {
    let recordings = recordings();
    assert!(recordings.len() > 60);
    expect_nothing(&checks::walk(&Browser::start(), book(), &recordings));
}

#[test]
fn a_link_to_a_timeline_chooses_it_in_the_player() {
    let browser = Browser::start();
    for (place, scenario) in [
        ("waking-the-wrong-task", "wrong-task"),
        ("scan/anon", "scan"),
        ("how-to-read-a-timeline", "get"),
    ] {
        // The page is opened anew, and does not only go to another place.
        browser.open("about:blank");
        assert_eq!(checks::scenario_at(&browser, book(), place), scenario);
    }
}
