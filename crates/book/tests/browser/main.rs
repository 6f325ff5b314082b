//! The book in a real browser: readable in both themes, on a window and on a phone, without dead
//! links, and with a player that can be walked through. Each check is shown to find a fault.
//!
//! The browser is the Chromium of the system, and `chromedriver` drives it.

mod checks;
mod faults;
mod player;
mod site;
mod webdriver;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use checks::{NARROW, THEMES, WIDE};
use site::{Links, Site, is_of_the_course};
use webdriver::Browser;

/// Makes the book once for all tests, and returns its folder.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("book");
        kvs_book::build(&folder).unwrap();
        folder
    })
}

fn book() -> Site {
    Site::in_folder(folder())
}

#[track_caller]
fn expect_nothing(found: &[String]) {
    let (count, lines) = (found.len(), found.join("\n"));
    assert!(found.is_empty(), "{count} places:\n{lines}");
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
    let (browser, book) = (Browser::start(), book());
    let pages = book.pages();
    assert!(pages.len() > 100);
    let (mut found, mut links) = (Vec::new(), Links::default());
    // The pages of files and comparisons are alike, so one theme is enough for each of them.
    for (i, page) in pages.iter().enumerate() {
        let one = &THEMES[i % 2..][..1];
        let is_of_the_course = is_of_the_course(page);
        let themes = if is_of_the_course { &THEMES } else { one };
        found.extend(checks::look(&browser, &book, page, NARROW, themes));
        links.add(&browser, page);
    }
    for (i, page) in pages.iter().enumerate() {
        if is_of_the_course(page) || i % 8 == 0 {
            found.extend(checks::look(&browser, &book, page, WIDE, &THEMES));
        }
    }
    found.extend(links.check(&book));
    expect_nothing(&found);
}

#[test]
fn the_pages_come_from_a_server_as_well_as_from_a_folder() {
    let (browser, book) = (Browser::start(), Site::on_server(folder()));
    let mut pages = book.pages();
    pages.retain(|page| is_of_the_course(page) || page.ends_with("boxed.rs.html"));
    let (mut found, mut links) = (Vec::new(), Links::default());
    for page in &pages {
        browser.open(&book.url(page));
        found.extend(browser.console());
        links.add(&browser, page);
    }
    found.extend(links.check(&book));
    found.extend(checks::search(&browser, &book, &[("E0277", "pin.html")]));
    expect_nothing(&found);
}

#[test]
fn no_label_of_a_picture_is_clipped_or_under_another() {
    let browser = Browser::start();
    let mut found = Vec::new();
    for folder in ["pictures", "pictures/timeline", "performance"] {
        for entry in fs::read_dir(book().folder.join(folder)).unwrap() {
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
    let words = [
        ("E0277", "pin.html"),
        ("E0308", "types.html"),
        ("E0282", "types.html"),
        ("E0716", "part-4-anonymous.html"),
        ("loop_fn", "part-2-boxed.html"),
        ("project_replace", "pin.html"),
        ("poll_cancel", "cancellation.html"),
        ("fdatasync", "guarantees.html"),
        ("buffer_unordered", "streams.html"),
        ("back-pressure", "sinks.html"),
        ("systemd", "running-it.html"),
    ];
    expect_nothing(&checks::search(&Browser::start(), &book(), &words));
}

#[test]
fn the_printed_book_has_every_chapter_and_picture_and_cuts_no_code() {
    let found = checks::look_at_print(&Browser::start(), &book(), &chapters());
    expect_nothing(&found);
}

#[test]
fn each_timeline_can_be_walked_by_keys_to_the_end_of_its_recording() {
    let recordings = player::recordings();
    assert!(recordings.len() > 60);
    let (browser, book) = (Browser::start(), book());
    player::open(&browser, &book, WIDE);
    let mut found = player::walk(&browser, &recordings);
    // Those of a scenario are neighbours.
    for pair in recordings.windows(2) {
        if pair[0].scenario == pair[1].scenario {
            found.extend(player::compare(&browser, [&pair[0], &pair[1]]));
        }
    }
    found.extend(browser.console());
    expect_nothing(&found);
}

#[test]
fn the_player_is_readable_in_both_themes_and_widths() {
    let (browser, book) = (Browser::start(), book());
    // Each recording is shown once in each theme, and once in each width.
    let mut halves = [Vec::new(), Vec::new()];
    for (i, recording) in player::recordings().into_iter().enumerate() {
        halves[i % 2].push(recording);
    }
    let mut found = Vec::new();
    for (width, themes) in [(WIDE, [0, 1]), (NARROW, [1, 0])] {
        player::open(&browser, &book, width);
        for (half, theme) in halves.iter().zip(themes) {
            found.extend(player::look(&browser, half, THEMES[theme]));
        }
    }
    expect_nothing(&found);
}

#[test]
fn a_timeline_plays_and_pauses() {
    let browser = Browser::start();
    player::open(&browser, &book(), WIDE);
    let played = player::play(&browser);
    assert!(played[0].starts_with("2 of "), "{played:?}");
    assert_eq!(played[1..], ["pause", "play"]);
}

#[test]
fn a_link_to_a_timeline_chooses_it_in_the_player() {
    let (browser, book) = (Browser::start(), book());
    for (place, scenario) in [
        ("waking-the-wrong-task", "wrong-task"),
        ("scan/anon", "scan"),
        ("how-to-read-a-timeline", "get"),
    ] {
        assert_eq!(player::scenario_at(&browser, &book, place), scenario);
    }
}
