//! The checks of a book in a folder. Each returns what it finds wrong, as texts.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::webdriver::{Browser, Key};

/// The themes that the book offers, by day and by night.
const THEMES: [&str; 2] = ["light", "navy"];

/// The widths of a window and of a phone, in CSS pixels.
const WIDE: u32 = 1280;
const NARROW: u32 = 390;

/// The key under which mdBook remembers the theme.
const SET_THEME: &str = "document.getElementById('mdbook-theme-' + arguments[0]).click()";

/// Returns the address of a file.
pub fn url(path: &Path) -> String {
    format!("file://{}", path.display())
}

/// Returns all pages of the book, but the lists of chapters, which are parts of pages.
pub fn pages(book: &Path) -> Vec<PathBuf> {
    let mut pages = Vec::new();
    let mut folders = vec![book.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap();
            if path.is_dir() {
                folders.push(path);
            } else if path
                .extension()
                .is_some_and(|extension| extension == "html")
                && name != "toc.html"
                && name != "404.html"
                && name != "print.html"
            {
                pages.push(path);
            }
        }
    }
    pages.sort();
    pages
}

/// Returns whether a page is one of `docs/`, and shows no file and no comparison.
fn is_of_the_course(book: &Path, page: &Path) -> bool {
    page.parent() == Some(book)
}

fn texts(value: &Value) -> Vec<String> {
    let texts = value.as_array().unwrap().iter();
    texts
        .map(|text| text.as_str().unwrap().to_owned())
        .collect()
}

/// Looks at a page in both themes and widths.
pub fn look(browser: &Browser, book: &Path, page: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let name = page.strip_prefix(book).unwrap().display();
    let is_of_the_course = is_of_the_course(book, page);
    browser.open(&url(page));
    for theme in THEMES {
        browser.run(SET_THEME, json!([theme]));
        for width in [WIDE, NARROW] {
            // The pages of files and comparisons are all alike, so two looks are enough.
            if !is_of_the_course && (theme == THEMES[0]) != (width == WIDE) {
                continue;
            }
            browser.resize(width);
            let must_fit = width == WIDE && is_of_the_course;
            let wrong = browser.run(include_str!("look.js"), json!([must_fit]));
            let place = |text| format!("{name}, {theme}, {width} px: {text}");
            found.extend(texts(&wrong).into_iter().map(place));
        }
    }
    let console = browser.console().into_iter();
    found.extend(console.map(|line| format!("{name}: {line}")));
    found
}

/// Looks at a picture by itself, by day and by night.
pub fn look_at_picture(browser: &Browser, picture: &Path) -> Vec<String> {
    let mut found = Vec::new();
    browser.open(&url(picture));
    for scheme in ["light", "dark"] {
        browser.emulate_scheme(scheme);
        let wrong = texts(&browser.run(include_str!("svg.js"), json!([])));
        let name = picture.file_name().unwrap().display();
        found.extend(
            wrong
                .into_iter()
                .map(|text| format!("{name}, {scheme}: {text}")),
        );
    }
    found
}

/// The links of a book, each with a page that has it, and the places of each page.
#[derive(Default)]
pub struct Links {
    links: BTreeMap<String, String>,
    ids: BTreeMap<String, BTreeSet<String>>,
}

impl Links {
    /// Adds the links and the places of the page that the browser shows.
    pub fn add(&mut self, browser: &Browser, page: &Path) {
        const LINKS: &str = "return {
            links: [...document.querySelectorAll('a[href]')].map((link) => link.href),
            ids: [...document.querySelectorAll('[id]')].map((it) => it.id),
        }";
        let found = browser.run(LINKS, json!([]));
        for link in texts(&found["links"]) {
            let name = || page.display().to_string();
            self.links.entry(link).or_insert_with(name);
        }
        let ids = texts(&found["ids"]).into_iter().collect();
        self.ids.insert(url(page), ids);
    }

    /// Returns the links that lead nowhere, or out of the book to something that is no web page.
    pub fn check(&self, book: &Path) -> Vec<String> {
        let home = url(book);
        let mut found = Vec::new();
        for (link, page) in &self.links {
            if link.starts_with("https://") || link.starts_with("http://") {
                continue;
            }
            let (path, id) = link.split_once('#').unwrap_or((link, ""));
            let file = path.strip_prefix("file://").unwrap_or_default();
            if !path.starts_with(&home) || !Path::new(file).is_file() {
                found.push(format!("{page} links to {link}, which is not in the book"));
            } else if let Some(ids) = self.ids.get(path)
                && !id.is_empty()
                && !ids.contains(id)
            {
                found.push(format!("{page} links to {link}, which has no such place"));
            }
        }
        found
    }
}

/// Searches for a word, and returns the pages of the first five results.
pub fn search(browser: &Browser, book: &Path, word: &str) -> Vec<String> {
    // mdBook loads the index when the search is opened, and then shows the results of the address.
    const WAIT: &str = "const done = arguments[arguments.length - 1];
        const look = () => {
            const header = document.getElementById('mdbook-searchresults-header');
            if (header && header.textContent.trim()) {
                const links = [...document.querySelectorAll('#mdbook-searchresults li a[href]')];
                done(links.slice(0, 5).map((link) => link.href));
            } else {
                requestAnimationFrame(look);
            }
        };
        look();";
    let page = url(&book.join("introduction.html"));
    browser.open(&format!("{page}?search={word}"));
    texts(&browser.run_async(WAIT, json!([])))
}

/// Returns the scenario that the player shows at a place of its page.
pub fn scenario_at(browser: &Browser, book: &Path, place: &str) -> Value {
    browser.open(&format!("{}#{place}", url(&book.join("timeline.html"))));
    browser.run(
        "return document.querySelector('.timeline-choices select').value",
        json!([]),
    )
}

/// Walks through each recording by the keyboard.
pub fn walk(
    browser: &Browser,
    book: &Path,
    recordings: &[(String, String, usize, String)],
) -> Vec<String> {
    const SAYS: &str = "return document.querySelector('.timeline-says').textContent";
    let mut found = Vec::new();
    let page = url(&book.join("timeline.html"));
    browser.open(&page);
    browser.resize(WIDE);
    for (scenario, client, steps, end) in recordings {
        let hash = "location.hash = arguments.map(encodeURIComponent).join('/');
            document.getElementById('timeline').focus();";
        let hash = hash.replace("arguments.map", "[...arguments].map");
        browser.run(&hash, json!([scenario, client]));
        browser.press(&[Key::Home]);
        let first = browser.run(SAYS, json!([]));
        browser.press(&vec![Key::Right; steps - 1]);
        let last = browser.run(SAYS, json!([]));
        browser.press(&vec![Key::Left; steps - 1]);
        let again = browser.run(SAYS, json!([]));
        let expected = format!("{steps} of {steps}: {end}");
        if last != expected {
            found.push(format!(
                "{scenario}, {client} ends with {last}, and not {expected:?}"
            ));
        }
        if first != again || first == last {
            found.push(format!(
                "{scenario}, {client}: {again} after the way back to {first}"
            ));
        }
        browser.press(&[Key::End]);
        if browser.run(SAYS, json!([])) != last {
            found.push(format!("{scenario}, {client}: End is not the end"));
        }
    }
    found
}

/// Looks at the page that is printed.
pub fn look_at_print(browser: &Browser, book: &Path, chapters: &[String]) -> Vec<String> {
    const LOOK: &str = "return {
        text: [...document.querySelectorAll('main h1')].filter((it) => it.checkVisibility())
            .map((it) => it.textContent.trim()),
        missing: [...document.querySelectorAll('main img')]
            .filter((it) => !it.complete || it.naturalWidth === 0).map((it) => it.src),
        cut: [...document.querySelectorAll('main pre > code')]
            .filter((it) => it.checkVisibility() && it.scrollWidth > it.clientWidth + 1)
            .map((it) => it.textContent.slice(0, 60)),
    }";
    browser.open(&url(&book.join("print.html")));
    browser.emulate_print(true);
    let looked = browser.run(LOOK, json!([]));
    browser.emulate_print(false);
    let titles = texts(&looked["text"]);
    let mut found = Vec::new();
    for chapter in chapters {
        if !titles.contains(chapter) {
            found.push(format!("the chapter {chapter:?} is not printed"));
        }
    }
    let missing = texts(&looked["missing"]).into_iter();
    found.extend(missing.map(|picture| format!("a picture is not printed: {picture}")));
    let cut = texts(&looked["cut"]).into_iter();
    found.extend(cut.map(|code| format!("code is cut off: {code}")));
    found
}
