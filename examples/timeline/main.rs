//! Records the life of requests: each poll, each wake-up, and the bytes between client and server.
//!
//! `cargo run --all-features --example timeline` records all programs with all clients, writes the
//! recordings to `docs/timeline`, and prints how often each request was polled.
//! `cargo run --all-features --example timeline -- get manual` prints one of them, step by step.

mod recorder;

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use recorder::log::{Event, Recording, Scenario};
use serde::Serialize;
use structopt::StructOpt;

/// The folder of the recordings.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/timeline");

/// Records the polls, wake-ups and bytes of requests with every client.
///
/// Without a scenario, records all of them, and writes the recordings to docs/timeline. With one,
/// prints it, and writes nothing.
#[derive(StructOpt)]
struct Opt {
    /// The scenario to print, such as get
    scenario: Option<String>,
    /// The client to print; without it, the first one
    client: Option<String>,
}

fn main() -> ExitCode {
    match run(&Opt::from_args()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(opt: &Opt) -> Result<(), String> {
    let Some(name) = &opt.scenario else {
        return record_all();
    };
    let scenario = recorder::record(name).ok_or_else(|| {
        let names: Vec<_> = recorder::names().collect();
        format!(
            "there is no scenario {name}: choose one of {}",
            names.join(", ")
        )
    })?;
    let mut recordings = scenario.recordings.iter();
    let recording = match &opt.client {
        None => recordings.next(),
        Some(client) => recordings.find(|recording| recording.client == *client),
    };
    let recording = recording.ok_or_else(|| {
        let recordings = scenario.recordings.iter();
        let names: Vec<_> = recordings.map(|recording| &*recording.client).collect();
        format!(
            "the scenario {name} has no such client: choose one of {}",
            names.join(", ")
        )
    })?;
    print(&scenario, recording);
    Ok(())
}

/// Records all scenarios, and writes a file for each.
fn record_all() -> Result<(), String> {
    println!(
        "{:<18} {:<26} {:>12} {:>10} {:>8} {:>6}",
        "scenario", "client", "future bytes", "its polls", "all", "wakes"
    );
    for scenario in recorder::names().filter_map(recorder::record) {
        for recording in &scenario.recordings {
            println!("{}", row(&scenario.scenario, recording));
        }
        let file = Path::new(FOLDER)
            .join(&scenario.scenario)
            .with_extension("json");
        fs::create_dir_all(FOLDER)
            .and_then(|()| fs::write(&file, to_json(&scenario)))
            .map_err(|error| format!("cannot write {file:?}: {error}"))?;
    }
    Ok(())
}

/// Returns the JSON of a scenario, with one step a line.
fn to_json(scenario: &Scenario) -> String {
    let recordings = scenario.recordings.iter().map(|recording| {
        let steps: Vec<_> = recording.steps.iter().map(json).collect();
        format!(
            "{{\"client\": {}, \"size\": {}, \"tasks\": {}, \"steps\": [\n  {}\n]}}",
            json(&recording.client),
            recording.size,
            json(&recording.tasks),
            steps.join(",\n  "),
        )
    });
    format!(
        "{{\n\"scenario\": {},\n\"title\": {},\n\"says\": {},\n\"recordings\": [\n{}\n]\n}}\n",
        json(&scenario.scenario),
        json(&scenario.title),
        json(&scenario.says),
        recordings.collect::<Vec<_>>().join(",\n"),
    )
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("texts and numbers are JSON")
}

/// Returns the numbers of a recording: polls of the first task, of all tasks, and wake-ups.
fn row(scenario: &str, recording: &Recording) -> String {
    let count = |is_it: &dyn Fn(&Event) -> bool| {
        let events = recording.steps.iter().map(|step| &step.event);
        events.filter(|event| is_it(event)).count()
    };
    let is_poll = |event: &Event| matches!(event, Event::Poll { .. });
    let first = recording.tasks.first().map(|lane| &*lane.name);
    format!(
        "{scenario:<18} {:<26} {:>12} {:>10} {:>8} {:>6}",
        recording.client,
        recording.size,
        count(&|event| is_poll(event) && Some(event.task()) == first),
        count(&is_poll),
        count(&|event| matches!(event, Event::Wake { .. })),
    )
}

/// Prints a recording, a step a line.
fn print(scenario: &Scenario, recording: &Recording) {
    println!("{}: {}", scenario.title, recording.client);
    println!("{}\n", scenario.says);
    for (n, step) in recording.steps.iter().enumerate() {
        println!("{:>3}  {:<11} {}", n + 1, step.event.task(), step.says);
        if let Event::Sent { text, .. } | Event::Served { text, .. } | Event::Arrived { text, .. } =
            &step.event
        {
            println!("{:>17}{text}", "");
        }
    }
}
