//! Timelines of poll and wake: recordings of real runs, as drawings and for the player.
//!
//! `cargo run --all-features --example timeline` writes the recordings to `docs/timeline`. The
//! names of their parts are those of `examples/timeline/recorder/log.rs`.

mod draw;
mod player;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use self::draw::draw;
use self::player::script;

use crate::{Error, Result};

/// The folder of the recordings.
const RECORDINGS: &str = "docs/timeline";

/// The folder of the stills.
pub const STILLS: &str = "docs/pictures/timeline";

/// The recordings of one program, each with another client.
#[derive(Debug, Deserialize)]
pub(crate) struct Scenario {
    /// The name of its file, and its anchor on the page.
    pub(crate) scenario: String,
    pub(crate) title: String,
    /// What the program does, in a sentence or two.
    pub(crate) says: String,
    pub(crate) recordings: Vec<Recording>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Recording {
    pub(crate) client: String,
    /// The size of the request's future, in bytes.
    pub(crate) size: usize,
    pub(crate) tasks: Vec<Lane>,
    pub(crate) steps: Vec<Step>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Lane {
    pub(crate) name: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Step {
    #[serde(flatten)]
    pub(crate) event: Event,
    pub(crate) says: String,
    pub(crate) code: Option<Code>,
}

/// Lines of a file: the text of the first one, and their number.
#[derive(Debug, Deserialize)]
pub(crate) struct Code {
    pub(crate) file: String,
    pub(crate) line: String,
    pub(crate) lines: usize,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(crate) enum Event {
    Made {
        task: String,
    },
    Poll {
        task: String,
        n: usize,
        state: Option<String>,
    },
    Polled {
        task: String,
        result: String,
        state: Option<String>,
    },
    Wake {
        task: String,
        by: String,
        times: Option<usize>,
    },
    Item {
        task: String,
        text: String,
    },
    Sent {
        bytes: usize,
        text: String,
    },
    Served {
        bytes: usize,
        text: String,
    },
    Arrived {
        bytes: usize,
        text: String,
    },
    Parked {},
    Dropped {
        task: String,
    },
    Closed {},
    End,
}

impl Code {
    /// Returns the number of the first line in the file, and the text of the lines.
    ///
    /// # Errors
    ///
    /// If the file below `root` has no such line.
    pub(crate) fn find(&self, root: &Path) -> Result<(usize, String)> {
        let path = root.join(&self.file);
        let text = fs::read_to_string(&path).map_err(Error::io("read", &path))?;
        let mut lines = text.lines().enumerate();
        let Some((n, _)) = lines.find(|(_, line)| *line == self.line) else {
            return Err(Error(format!(
                "a timeline shows the line {:?} of {}, which has no such line: record it again \
                 with `cargo run --all-features --example timeline`",
                self.line, self.file
            )));
        };
        let shown: Vec<_> = text.lines().skip(n).take(self.lines).collect();
        // The excerpt begins at the left, however deep it is nested.
        let indent = self.line.len() - self.line.trim_start().len();
        let shown = shown
            .iter()
            .map(|line| line.get(indent..).unwrap_or(line.trim_start()));
        Ok((n + 1, shown.collect::<Vec<_>>().join("\n")))
    }
}

/// Reads the recordings below `root`, in the order of their names.
///
/// # Errors
///
/// If a file cannot be read, or is no recording.
pub(crate) fn load(root: &Path) -> Result<Vec<Scenario>> {
    let folder = root.join(RECORDINGS);
    let mut scenarios = Vec::new();
    for entry in fs::read_dir(&folder).map_err(Error::io("read", &folder))? {
        let path = entry.map_err(Error::io("read", &folder))?.path();
        let text = fs::read_to_string(&path).map_err(Error::io("read", &path))?;
        let scenario: Scenario = serde_json::from_str(&text)
            .map_err(|error| Error(format!("{} is no recording: {error}", path.display())))?;
        scenarios.push(scenario);
    }
    scenarios.sort_by(|a, b| a.scenario.cmp(&b.scenario));
    Ok(scenarios)
}

/// Returns the files whose lines the recordings show.
///
/// # Errors
///
/// If the recordings cannot be read.
pub(crate) fn files(root: &Path) -> Result<BTreeSet<PathBuf>> {
    let mut files = BTreeSet::new();
    for recording in load(root)?.into_iter().flat_map(|it| it.recordings) {
        let codes = recording.steps.into_iter().filter_map(|step| step.code);
        files.extend(codes.map(|code| PathBuf::from(code.file)));
    }
    Ok(files)
}

/// Puts the player into the page of the timelines, before its second heading.
///
/// # Errors
///
/// Those of [`script`].
pub(crate) fn put_into(page: &str, root: &Path) -> Result<String> {
    let (before, after) = page.split_once("\n## ").unwrap_or((page, ""));
    // A script in a page ends at the first `</`, which is the same in JSON with a backslash.
    let script = script(root)?.replace("</", "<\\/");
    Ok(format!(
        "{before}\n<div id=\"timeline\" data-files=\"files/\">The timelines need JavaScript. Without \
         it, look at the pictures below.</div>\n\n<style>\n{}</style>\n\n<script>{script}</script>\n\n\
         ## {after}",
        night()
    ))
}

/// Returns the rules for pictures in a page of the dark theme. An image follows the theme by
/// itself.
fn night() -> String {
    let rules = draw::DARK
        .lines()
        .filter_map(|line| line.strip_prefix("  "));
    let rule = |rule: &str| format!(".navy .timeline-picture {}\n", rule.replace(":root", "svg"));
    rules.map(rule).collect()
}

/// Returns the stills: for each, the name of its file and the SVG.
///
/// # Errors
///
/// Those of [`load`].
pub fn stills(root: &Path) -> Result<Vec<(String, String)>> {
    let mut stills = Vec::new();
    for scenario in load(root)? {
        for recording in &scenario.recordings {
            if let Some(name) = still_name(&scenario.scenario, &recording.client) {
                let title = format!("{}, {}", scenario.title, recording.client);
                stills.push((name, draw(recording, &title, true)));
            }
        }
    }
    Ok(stills)
}

/// Returns the name of the still of a recording, if a page shows it. Of the six clients, the pages
/// show the one by hand, and of a client with a bug and the sound one beside it, that with the bug.
fn still_name(scenario: &str, client: &str) -> Option<String> {
    match client {
        "pinned" if scenario == "get" => Some("get-pinned".to_owned()),
        "boxed" | "explicit" | "anon" | "pinned" | "awaited" | "sound" => None,
        _ => Some(scenario.to_owned()),
    }
}
