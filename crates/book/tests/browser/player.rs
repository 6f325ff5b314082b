//! The checks of the player of the timelines, with a keyboard as its readers have it.

use std::fs;

use serde_json::{Value, json};

use super::checks::{self, texts};
use super::site::Site;
use super::webdriver::{Browser, key};

/// A recording: its steps, and its last sentence.
#[derive(Clone)]
pub struct Recording {
    pub scenario: String,
    pub client: String,
    pub steps: usize,
    pub end: String,
}

/// Returns all recordings, those of a scenario one after the other.
pub fn recordings() -> Vec<Recording> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut recordings = Vec::new();
    for entry in fs::read_dir(kvs_book::root().join("docs/timeline")).unwrap() {
        let json = fs::read_to_string(entry.unwrap().path()).unwrap();
        let scenario: Value = serde_json::from_str(&json).unwrap();
        for recording in scenario["recordings"].as_array().unwrap() {
            let steps = recording["steps"].as_array().unwrap();
            recordings.push(Recording {
                scenario: text(&scenario["scenario"]),
                client: text(&recording["client"]),
                steps: steps.len(),
                end: text(&steps.last().unwrap()["says"]),
            });
        }
    }
    recordings
}

/// Opens the page of the player with a width.
pub fn open(browser: &Browser, site: &Site, width: u32) {
    browser.resize(width);
    // The page is opened anew, and does not only go to another place.
    browser.open("about:blank");
    browser.open(&site.url("timeline.html"));
}

/// Chooses recordings by the address, as a link does, and goes to the player.
fn choose(browser: &Browser, scenario: &str, clients: &[&str]) {
    const CHOOSE: &str = "location.hash = arguments[0].map(encodeURIComponent).join('/');
        document.getElementById('timeline').focus();";
    let address = [&[scenario], clients].concat();
    browser.run(CHOOSE, json!([address]));
}

/// Returns the sentences of the recordings that the player shows.
fn says(browser: &Browser) -> Vec<String> {
    const SAYS: &str = "return [...document.querySelectorAll('.timeline-says')]
        .filter((it) => it.checkVisibility()).map((it) => it.textContent)";
    texts(&browser.run(SAYS, json!([])))
}

fn sentence(recording: &Recording) -> String {
    let Recording { steps, end, .. } = recording;
    format!("{steps} of {steps}: {end}")
}

/// Walks through each recording by the keyboard.
pub fn walk(browser: &Browser, recordings: &[Recording]) -> Vec<String> {
    let mut found = Vec::new();
    for recording in recordings {
        let Recording {
            scenario, client, ..
        } = recording;
        let name = format!("{scenario}, {client}");
        choose(browser, scenario, &[client]);
        browser.press([key::HOME]);
        let first = says(browser);
        browser.press(vec![key::RIGHT; recording.steps - 1]);
        let last = says(browser);
        browser.press(vec![key::LEFT; recording.steps - 1]);
        let again = says(browser);
        browser.press([key::END]);
        let expected = [sentence(recording)];
        if last != expected {
            found.push(format!("{name} ends with {last:?}, and not {expected:?}"));
        }
        if first != again || first == last {
            found.push(format!("{name}: {again:?} after the way back to {first:?}"));
        }
        if says(browser) != last {
            found.push(format!("{name}: End is not the end"));
        }
    }
    found
}

/// Looks at the player at the end of each recording.
pub fn look(browser: &Browser, recordings: &[Recording], theme: &str) -> Vec<String> {
    let mut found = Vec::new();
    for Recording {
        scenario, client, ..
    } in recordings
    {
        let name = format!("{scenario}, {client}");
        choose(browser, scenario, &[client]);
        browser.press([key::END]);
        found.extend(checks::look_at(browser, &name, theme, false));
        let wrong = texts(&checks::look_at_svg(browser)).into_iter();
        found.extend(wrong.map(|text| format!("{name}, {theme}: {text}")));
    }
    found
}

/// Shows two recordings of a scenario beside each other, and walks to the end of both.
pub fn compare(browser: &Browser, [one, other]: [&Recording; 2]) -> Vec<String> {
    const BOTH: &str = "return [...document.querySelectorAll('.timeline-client')]
        .map((it) => it.value).join('/')";
    let mut found = Vec::new();
    let name = format!("{}, {} and {}", one.scenario, one.client, other.client);
    choose(browser, &one.scenario, &[&one.client, &other.client]);
    browser.press([key::HOME]);
    let first = says(browser);
    let steps = one.steps.max(other.steps);
    browser.press(vec![key::RIGHT; steps - 1]);
    let last = says(browser);
    let both = browser.run(BOTH, json!([]));
    if both != format!("{}/{}", one.client, other.client) {
        found.push(format!("{name}: the player has chosen {both}"));
    }
    let expected = [one, other].map(sentence);
    if last != expected {
        found.push(format!("{name} end with {last:?}, and not {expected:?}"));
    }
    if first.len() != 2 || !first.iter().all(|says| says.starts_with("1 of ")) {
        found.push(format!("{name} begin with {first:?}"));
    }
    found
}

/// Plays a recording with the space bar, and returns the first sentence that the player goes on to,
/// the word on the button then, and the word after another space.
pub fn play(browser: &Browser) -> Vec<String> {
    const WATCH: &str = "const says = document.querySelector('.timeline-says');
        const button = document.querySelector('[data-action=play]');
        window.played = new Promise((done) => {
            new MutationObserver(() => done([says.textContent, button.textContent]))
                .observe(says, { childList: true, characterData: true, subtree: true });
        });";
    const PLAYED: &str = "window.played.then(arguments[0])";
    const LABEL: &str = "return [document.querySelector('[data-action=play]').textContent]";
    choose(browser, "get", &["manual"]);
    browser.press([key::HOME]);
    browser.run(WATCH, json!([]));
    browser.press([' ']);
    let played = texts(&browser.run_async(PLAYED, json!([])));
    browser.press([' ']);
    let paused = texts(&browser.run(LABEL, json!([])));
    [played, paused].concat()
}

/// Returns the scenario that the player shows at a place of its page.
pub fn scenario_at(browser: &Browser, site: &Site, place: &str) -> Value {
    const SCENARIO: &str = "return document.querySelector('.timeline-choices select').value";
    browser.open("about:blank");
    browser.open(&site.url(&format!("timeline.html#{place}")));
    browser.run(SCENARIO, json!([]))
}
