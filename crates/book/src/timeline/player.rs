//! The data of the player, as a script: a page that is opened from a file may not fetch any other.

use std::path::Path;

use serde::Serialize;

use super::{Event, Recording, Scenario, draw, load};
use crate::{Error, Result};

#[derive(Serialize)]
struct Played<'a> {
    scenario: &'a str,
    title: &'a str,
    says: &'a str,
    recordings: Vec<PlayedRecording<'a>>,
}

#[derive(Serialize)]
struct PlayedRecording<'a> {
    client: &'a str,
    size: usize,
    svg: String,
    steps: Vec<PlayedStep<'a>>,
}

#[derive(Serialize)]
struct PlayedStep<'a> {
    says: &'a str,
    /// The bytes of the step.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<PlayedCode>,
}

#[derive(Serialize)]
struct PlayedCode {
    file: String,
    /// The number of the first line.
    first: usize,
    text: String,
}

/// Returns the script that gives the recordings below `root` to the player.
///
/// # Errors
///
/// Those of [`load`] and of [`Code::find`](super::Code::find).
pub(super) fn script(root: &Path) -> Result<String> {
    let scenarios = load(root)?;
    let played: Result<Vec<_>> = scenarios
        .iter()
        .map(|scenario| played(scenario, root))
        .collect();
    let json = serde_json::to_string(&played?).map_err(|error| Error(error.to_string()))?;
    Ok(format!("window.timelines = {json};\n"))
}

fn played<'a>(scenario: &'a Scenario, root: &Path) -> Result<Played<'a>> {
    let recordings: Result<_> = scenario
        .recordings
        .iter()
        .map(|recording| played_recording(scenario, recording, root))
        .collect();
    Ok(Played {
        scenario: &scenario.scenario,
        title: &scenario.title,
        says: &scenario.says,
        recordings: recordings?,
    })
}

fn played_recording<'a>(
    scenario: &Scenario,
    recording: &'a Recording,
    root: &Path,
) -> Result<PlayedRecording<'a>> {
    let mut steps = Vec::new();
    for step in &recording.steps {
        let code = step.code.as_ref().map(|code| {
            let (first, text) = code.find(root)?;
            let file = code.file.clone();
            Ok(PlayedCode { file, first, text })
        });
        let bytes = match &step.event {
            Event::Sent { text, .. } | Event::Served { text, .. } | Event::Arrived { text, .. } => {
                Some(&**text)
            }
            _ => None,
        };
        steps.push(PlayedStep {
            says: &step.says,
            bytes,
            code: code.transpose()?,
        });
    }
    let title = format!("{}, {}", scenario.title, recording.client);
    Ok(PlayedRecording {
        client: &recording.client,
        size: recording.size,
        svg: draw(recording, &title, false),
        steps,
    })
}
