//! The checks of a book. Each returns what it finds wrong, as texts.

use std::path::Path;

use serde_json::{Value, json};

use super::site::{Site, is_of_the_course};
use super::webdriver::Browser;

/// The themes that the book offers, by day and by night.
pub const THEMES: [&str; 2] = ["light", "navy"];

/// The widths of a window, of a phone, and of a sheet of paper (A4), in CSS pixels.
pub const WIDE: u32 = 1280;
pub const NARROW: u32 = 390;
const PAPER: u32 = 718;

const LOOK: &str = concat!(include_str!("contrast.js"), include_str!("look.js"));
const LOOK_AT_SVG: &str = concat!(include_str!("contrast.js"), include_str!("svg.js"));

/// Returns the texts in an array.
pub fn texts(value: &Value) -> Vec<String> {
    let texts = value.as_array().unwrap().iter();
    texts
        .map(|text| text.as_str().unwrap().to_owned())
        .collect()
}

/// Chooses a theme, as the menu of the book does.
pub fn choose_theme(browser: &Browser, theme: &str) {
    const CHOOSE: &str = "const [theme] = arguments;
        if (!document.documentElement.classList.contains(theme)) {
            document.getElementById('mdbook-theme-' + theme).click();
        }";
    browser.run(CHOOSE, json!([theme]));
}

/// Opens a page with a width, and looks at it in some themes.
pub fn look(
    browser: &Browser,
    site: &Site,
    page: &str,
    width: u32,
    themes: &[&str],
) -> Vec<String> {
    let mut found = Vec::new();
    let must_fit = width == WIDE && is_of_the_course(page);
    browser.resize(width);
    browser.open(&site.url(page));
    for theme in themes {
        found.extend(look_at(browser, page, theme, must_fit));
    }
    let console = browser.console().into_iter();
    found.extend(console.map(|line| format!("{page}: {line}")));
    found
}

/// Looks at the page that the browser shows.
pub fn look_at(browser: &Browser, name: &str, theme: &str, must_fit: bool) -> Vec<String> {
    choose_theme(browser, theme);
    let wrong = texts(&browser.run(LOOK, json!([must_fit, false])));
    let width = browser.width();
    let place = |text| format!("{name}, {theme}, {width} px: {text}");
    wrong.into_iter().map(place).collect()
}

/// Looks at a picture by itself, by day and by night.
pub fn look_at_picture(browser: &Browser, picture: &Path) -> Vec<String> {
    let mut found = Vec::new();
    browser.open(&format!("file://{}", picture.display()));
    for scheme in ["light", "dark"] {
        browser.emulate_scheme(scheme);
        let name = picture.file_name().unwrap().display();
        let wrong = texts(&look_at_svg(browser)).into_iter();
        found.extend(wrong.map(|text| format!("{name}, {scheme}: {text}")));
    }
    found
}

/// Looks at the picture that the browser shows.
pub fn look_at_svg(browser: &Browser) -> Value {
    browser.run(LOOK_AT_SVG, json!([]))
}

/// Types each word into the search, and expects the page beside it among the first five results.
pub fn search(browser: &Browser, site: &Site, words: &[(&str, &str)]) -> Vec<String> {
    // The index is loaded when the search is opened.
    const WAIT: &str = "const [word, done] = arguments;
        const look = () => {
            const header = document.getElementById('mdbook-searchresults-header');
            if (header.textContent.includes(`'${word}'`)) {
                const links = [...document.querySelectorAll('#mdbook-searchresults li a[href]')];
                done(links.slice(0, 5).map((link) => link.href));
            } else {
                requestAnimationFrame(look);
            }
        };
        look();";
    let mut found = Vec::new();
    browser.resize(WIDE);
    for (i, (word, page)) in words.iter().enumerate() {
        browser.open(&site.url("introduction.html"));
        browser.press("/".chars().chain(word.chars()));
        let results = texts(&browser.run_async(WAIT, json!([word])));
        let Some(result) = results.iter().find(|result| result.contains(page)) else {
            found.push(format!("{word} is not found on {page}, but on {results:?}"));
            continue;
        };
        let name = format!("the results for {word}");
        found.extend(look_at(browser, &name, THEMES[i % 2], false));
        // The page marks the word.
        browser.open(result);
        let name = format!("{word} on {page}");
        found.extend(look_at(browser, &name, THEMES[i % 2], false));
    }
    found
}

/// Looks at the page that is printed, by day and by night.
pub fn look_at_print(browser: &Browser, site: &Site, chapters: &[String]) -> Vec<String> {
    const TITLES: &str = "return [...document.querySelectorAll('main h1')]
        .filter((it) => it.checkVisibility()).map((it) => it.textContent.trim())";
    browser.open(&site.url("print.html"));
    browser.resize(PAPER);
    let mut found = Vec::new();
    for theme in THEMES {
        choose_theme(browser, theme);
        browser.emulate_print(true);
        let wrong = texts(&browser.run(LOOK, json!([true, true]))).into_iter();
        found.extend(wrong.map(|text| format!("printed, {theme}: {text}")));
        browser.emulate_print(false);
    }
    browser.emulate_print(true);
    let titles = texts(&browser.run(TITLES, json!([])));
    browser.emulate_print(false);
    for chapter in chapters {
        if !titles.contains(chapter) {
            found.push(format!("the chapter {chapter:?} is not printed"));
        }
    }
    found
}
