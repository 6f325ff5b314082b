//! Copies of the book with one fault each, which shows that the checks find it.

use std::fs;
use std::path::Path;
use std::slice;

use super::checks::{self, NARROW, THEMES, WIDE};
use super::player::{self, Recording};
use super::site::{Links, Site};
use super::webdriver::Browser;

/// Copies the pages of the book that a check needs, and changes one of them. The name of the page
/// may be the beginning of a file's name, because those of scripts end with a hash.
fn broken(name: &str, page: &str, old: &str, new: &str) -> Site {
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("faults")
        .join(name);
    let _ = fs::remove_dir_all(&copy);
    copy_folder(super::folder(), &copy);
    let mut files = fs::read_dir(&copy).unwrap().map(|file| file.unwrap());
    let file = files.find(|file| file.file_name().to_str().unwrap().starts_with(page));
    let path = file.unwrap().path();
    let text = fs::read_to_string(&path).unwrap();
    let at = text
        .rfind(old)
        .unwrap_or_else(|| panic!("{page} has no {old:?}"));
    fs::write(&path, text[..at].to_owned() + new + &text[at + old.len()..]).unwrap();
    Site::in_folder(&copy)
}

/// Copies a folder, but for the pages of files and comparisons.
fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap();
        if path.is_dir() {
            if name != "files" && name != "diff" {
                copy_folder(&path, &to.join(name));
            }
        } else {
            fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

#[track_caller]
fn expect_one(found: &[String], fault: &str) {
    assert!(
        found.iter().any(|found| found.contains(fault)),
        "not found: {fault}, but {found:?}"
    );
    assert!(
        found.iter().all(|found| found.contains(fault)),
        "found more: {found:?}"
    );
}

/// Puts `html` into a page, and expects that a look at it finds `fault` and nothing else.
#[track_caller]
fn expect_fault(name: &str, html: &str, fault: &str) {
    let book = broken(name, "pin.html", "</main>", &format!("{html}</main>"));
    let browser = Browser::start();
    let look = |width| checks::look(&browser, &book, "pin.html", width, &THEMES);
    let found = [WIDE, NARROW].map(look).concat();
    expect_one(&found, fault);
}

#[test]
fn a_script_that_fails_is_found() {
    expect_fault(
        "script",
        "<script>missing()</script>",
        "missing is not defined",
    );
}

#[test]
fn a_picture_that_is_not_there_is_found() {
    let html = "<img src=\"pictures/none.svg\" alt=\"none\">";
    expect_fault("picture", html, "none.svg");
}

#[test]
fn a_page_that_scrolls_sideways_is_found() {
    let html = "<div style=\"width: 2000px\">wide</div>";
    expect_fault("wide", html, "the page scrolls sideways");
    let html = "<div style=\"width: 600px\">wide for a phone</div>";
    expect_fault("phone", html, "390 px: the page scrolls sideways");
}

#[test]
fn code_that_does_not_fit_is_found() {
    let html = format!("<pre><code>{}</code></pre>", "x".repeat(200));
    expect_fault("code", &html, "wider than the page");
}

#[test]
fn a_table_that_does_not_fit_is_found_behind_details() {
    let cell = format!("<td>{}</td>", "x".repeat(200));
    let html = format!(
        "<details><summary>more</summary><div class=\"table-wrapper\"><table><tr>{cell}</tr>\
         </table></div></details>"
    );
    expect_fault("table", &html, "wider than the page");
}

#[test]
fn a_picture_that_is_too_small_to_be_read_is_found() {
    let html = "<img src=\"pictures/pin-move.svg\" alt=\"\" style=\"width: 100px\">";
    expect_fault("small", html, "a picture is shown at");
}

#[test]
fn texts_that_can_hardly_be_seen_are_found() {
    for (name, html, fault) in [
        (
            "contrast",
            "<p style=\"color: #999; background: #888\">pale</p>",
            "contrast 1.2",
        ),
        (
            "opacity",
            "<div style=\"opacity: 0.3\"><p>faint</p></div>",
            "contrast",
        ),
        // Only one of the themes shows this fault.
        ("theme", "<p style=\"color: #5b6b7b\">grey</p>", "navy"),
    ] {
        expect_fault(name, html, fault);
    }
}

#[test]
fn links_that_lead_nowhere_are_found_in_a_folder_and_on_a_server() {
    let links = "<a href=\"none.html\">a</a> <a href=\"six.html#none\">b</a> \
                 <a href=\"/six.html\">c</a></main>";
    let folder = broken("links", "pin.html", "</main>", links).folder;
    let browser = Browser::start();
    for book in [Site::in_folder(&folder), Site::on_server(&folder)] {
        let mut all = Links::default();
        for page in ["pin.html", "six.html"] {
            browser.open(&book.url(page));
            all.add(&browser, page);
        }
        let mut found = all.check(&book);
        // The copy has no pages of files.
        found.retain(|found| !found.contains("/files/") && !found.contains("/diff/"));
        assert_eq!(found.len(), 3, "{found:?}");
        for link in ["/none.html", "/six.html#none", "/six.html, which"] {
            assert!(found.iter().any(|found| found.contains(link)), "{found:?}");
        }
    }
}

#[test]
fn a_page_that_the_server_does_not_have_is_found() {
    let html = "<script src=\"none.js\"></script></main>";
    let book = broken("served", "pin.html", "</main>", html);
    let browser = Browser::start();
    browser.open(&Site::on_server(&book.folder).url("pin.html"));
    expect_one(&browser.console(), "none.js");
}

#[test]
fn labels_that_are_clipped_small_pale_or_over_each_other_are_found() {
    let svg = |text: &str| {
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 200 50\" width=\"200\" \
             height=\"50\"><rect width=\"200\" height=\"50\" fill=\"#ffffff\"/>{text}</svg>"
        )
    };
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fault.svg");
    let browser = Browser::start();
    for (text, fault) in [
        ("<text x=\"150\" y=\"20\">much too long</text>", "clipped"),
        (
            "<text x=\"9\" y=\"20\">one</text><text x=\"9\" y=\"24\">two</text>",
            "over each other",
        ),
        (
            "<rect x=\"5\" width=\"30\" height=\"30\" fill=\"#eeeeee\"/>\
             <text x=\"9\" y=\"20\">longer than it</text>",
            "out of its box",
        ),
        (
            "<text x=\"9\" y=\"20\" font-size=\"9\">small</text>",
            "smaller than 12 px",
        ),
        (
            "<text x=\"9\" y=\"20\" fill=\"#cccccc\">pale</text>",
            "contrast 1.6",
        ),
        (
            "<path d=\"M90 0 h90 v50 h-90 z\" fill=\"#222222\"/>\
             <text x=\"40\" y=\"20\">half on black</text>",
            "contrast",
        ),
        (
            "<style>@media (prefers-color-scheme: dark) { rect { fill: #222222 } }</style>\
             <text x=\"9\" y=\"20\">night</text>",
            "dark: contrast",
        ),
    ] {
        fs::write(&path, svg(text)).unwrap();
        expect_one(&checks::look_at_picture(&browser, &path), fault);
    }
    fs::write(&path, svg("<text x=\"9\" y=\"20\">fine</text>")).unwrap();
    assert_eq!(checks::look_at_picture(&browser, &path), [""; 0]);
}

#[test]
fn a_search_without_results_is_found() {
    // The index is as empty as one of no pages.
    let empty = "; for (const field of Object.values(window.search.index.index)) \
                 field.root = { docs: {}, df: 0 };";
    let book = broken("search", "searchindex-", "", empty);
    let words = [("E0277", "pin.html"), ("snapshot", "guarantees.html")];
    let found = checks::search(&Browser::start(), &book, &words);
    assert_eq!(found.len(), 2, "{found:?}");
    expect_one(&found, "is not found on");
}

#[test]
fn faults_of_the_printed_book_are_found() {
    let long = format!(
        "<pre><code style=\"white-space: pre\">{}</code></pre>",
        "a ".repeat(99)
    );
    let html = long
        + "<img src=\"none.svg\" alt=\"\">
        <div style=\"overflow: hidden\">
            <img src=\"pictures/six.svg\" alt=\"\" style=\"width: 800px; max-width: none\">
        </div>
        <p style=\"color: #ffffff; background: #000000\">white on white</p></main>";
    // One page instead of all is enough, and is faster.
    let book = broken("print", "pin.html", "</main>", &html);
    let [page, print] = ["pin.html", "print.html"].map(|page| book.folder.join(page));
    fs::rename(page, print).unwrap();
    let chapters = ["Pin, from a future written by hand", "No such chapter"].map(str::to_owned);
    let found = checks::look_at_print(&Browser::start(), &book, &chapters);
    let count = |fault| found.iter().filter(|found| found.contains(fault)).count();
    let faults = [
        "wider than the page",
        "a picture is not there",
        "a picture is cut off",
        "contrast 1.0",
    ];
    assert_eq!(faults.map(count), [2; 4], "{found:?}");
    assert_eq!(count("No such chapter"), 1);
    assert_eq!(found.len(), 9, "{found:?}");
}

#[test]
fn a_recording_that_ends_otherwise_is_found() {
    let recordings = player::recordings();
    let find = |client| {
        let mut all = recordings.iter();
        let found = all.find(|it| it.scenario == "get" && it.client == client);
        found.unwrap()
    };
    let (manual, boxed) = (find("manual"), find("boxed"));
    let other = Recording {
        end: "another end".to_owned(),
        ..manual.clone()
    };
    let shorter = Recording {
        steps: manual.steps - 1,
        ..manual.clone()
    };
    let browser = Browser::start();
    player::open(&browser, &super::book(), WIDE);
    let walk = |it: &Recording| player::walk(&browser, slice::from_ref(it));
    assert_eq!(walk(manual), [""; 0]);
    assert_eq!(walk(&other).len(), 1);
    assert_eq!(walk(&shorter).len(), 2);
    assert_eq!(player::compare(&browser, [boxed, manual]), [""; 0]);
    assert_eq!(player::compare(&browser, [boxed, &other]).len(), 1);
}

#[test]
fn a_player_that_cannot_be_walked_is_found() {
    let recordings = &player::recordings()[..1];
    let browser = Browser::start();
    for (name, old, new) in [
        ("keys", "ArrowLeft: \"back\"", "None: \"back\""),
        ("end", "End: \"last\"", "End: \"first\""),
    ] {
        let book = broken_player(name, old, new);
        player::open(&browser, &book, WIDE);
        let found = player::walk(&browser, recordings);
        assert_eq!(found.len(), 1, "{name}: {found:?}");
    }
}

/// Changes the player in a copy of the book.
fn broken_player(name: &str, old: &str, new: &str) -> Site {
    let book = broken(name, "timeline.html", "</main>", "</main>");
    let theme = book.folder.join("crates/book/theme");
    let mut files = fs::read_dir(theme)
        .unwrap()
        .map(|file| file.unwrap().path());
    let player = files.find(|file| file.extension().is_some_and(|it| it == "js"));
    let player = player.unwrap();
    let text = fs::read_to_string(&player).unwrap();
    assert!(text.contains(old), "the player has no {old:?}");
    fs::write(&player, text.replacen(old, new, 1)).unwrap();
    book
}
