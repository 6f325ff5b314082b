//! Copies of the book with one fault each, which shows that the checks find it.

use std::fs;
use std::path::{Path, PathBuf};

use super::checks::{self, Links};
use super::webdriver::Browser;

/// Copies the pages of the book that a check needs, and changes one of them.
fn broken(name: &str, page: &str, old: &str, new: &str) -> PathBuf {
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("faults")
        .join(name);
    let _ = fs::remove_dir_all(&copy);
    copy_folder(super::book(), &copy);
    let path = copy.join(page);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(old), "{page} has no {old:?}");
    fs::write(&path, text.replacen(old, new, 1)).unwrap();
    copy
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
    let found = checks::look(&Browser::start(), &book, &book.join("pin.html"));
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
}

#[test]
fn code_that_does_not_fit_is_found() {
    let html = format!("<pre><code>{}</code></pre>", "x".repeat(200));
    expect_fault("code", &html, "wider than the page");
}

#[test]
fn a_text_that_can_hardly_be_seen_is_found() {
    let html = "<p style=\"color: #999; background: #888\">pale</p>";
    expect_fault("contrast", html, "contrast 1.2");
}

#[test]
fn a_link_that_leads_nowhere_is_found() {
    let links = "<a href=\"none.html\">a</a> <a href=\"six.html#none\">b</a></main>";
    let book = broken("links", "pin.html", "</main>", links);
    let (browser, mut all) = (Browser::start(), Links::default());
    for page in ["pin.html", "six.html"].map(|page| book.join(page)) {
        browser.open(&checks::url(&page));
        all.add(&browser, &page);
    }
    let found = all.check(&book);
    for link in ["none.html", "six.html#none"] {
        let is_it = |found: &&String| found.contains(link);
        assert_eq!(found.iter().filter(is_it).count(), 1, "{link}: {found:?}");
    }
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
            "<text x=\"9\" y=\"20\" font-size=\"9\">small</text>",
            "smaller than 12 px",
        ),
        (
            "<text x=\"9\" y=\"20\" fill=\"#cccccc\">pale</text>",
            "contrast 1.6",
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
    let results = checks::search(&Browser::start(), super::book(), "nosuchword");
    assert_eq!(results, [""; 0]);
}

#[test]
fn a_chapter_that_is_not_printed_is_found() {
    let chapters = ["Pin, from a future written by hand", "No such chapter"].map(str::to_owned);
    let found = checks::look_at_print(&Browser::start(), super::book(), &chapters);
    expect_one(&found, "No such chapter");
}

#[test]
fn a_recording_that_ends_otherwise_is_found() {
    let recording = |steps, end: &str| {
        let [scenario, client] = ["get", "manual"].map(str::to_owned);
        [(scenario, client, steps, end.to_owned())]
    };
    let (_, _, steps, end) = super::recordings()
        .into_iter()
        .find(|(scenario, client, ..)| scenario == "get" && client == "manual")
        .unwrap();
    let browser = Browser::start();
    let walk = |recording: &[_]| checks::walk(&browser, super::book(), recording);
    assert_eq!(walk(&recording(steps, &end)), [""; 0]);
    assert_eq!(walk(&recording(steps, "another end")).len(), 1);
    assert_eq!(walk(&recording(steps - 1, &end)).len(), 2);
}
