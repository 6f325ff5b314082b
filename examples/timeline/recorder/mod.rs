//! Records runs of the clients: each poll, wake-up and byte, in the order in which it happened.
//!
//! A run has one thread with a recording [executor](executor), and a [proxy](proxy) between the
//! client and a real server. A script says when the proxy passes something on. So the order is the
//! same in each run, and no step waits for a time.

pub mod by_hand;
pub mod clients;
pub mod code;
pub mod executor;
pub mod log;
pub mod mistakes;
pub mod proxy;
pub mod run;
pub mod scenarios;
pub mod threads;
pub mod words;

#[path = "../../../tests/harness/broken.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
pub mod broken;
#[path = "../../../tests/common/net.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
pub mod net;

use log::{Recording, Scenario};
use mistakes::BUGS;
use scenarios::{PROGRAMS, Program};

/// Returns the names of the scenarios, in the order of the page.
pub fn names() -> impl Iterator<Item = &'static str> {
    let programs = PROGRAMS.iter().map(|program| program.name);
    programs.chain(BUGS.iter().map(|bug| bug.program.name))
}

/// Records a scenario: with every client, or with a client that has a mistake
/// and one that has none.
pub fn record(name: &str) -> Option<Scenario> {
    let program = PROGRAMS.iter().find(|program| program.name == name);
    if let Some(program) = program {
        return Some(scenario(program, with_each_client(program)));
    }
    let bug = BUGS.iter().find(|bug| bug.program.name == name)?;
    Some(scenario(&bug.program, (bug.record)()))
}

fn scenario(program: &Program, recordings: Vec<Recording>) -> Scenario {
    Scenario {
        scenario: program.name.to_owned(),
        title: program.title.to_owned(),
        says: program.says.to_owned(),
        recordings,
    }
}

fn with_each_client(program: &Program) -> Vec<Recording> {
    vec![
        scenarios::run::<kvs::client::boxed::KvsClient>(program),
        scenarios::run::<kvs::client::explicit::KvsClient>(program),
        scenarios::run::<kvs::client::anon::KvsClient>(program),
        scenarios::run::<kvs::client::manual::KvsClient>(program),
        scenarios::run::<kvs::client::pinned::KvsClient>(program),
        scenarios::run::<kvs::client::awaited::KvsClient>(program),
    ]
}
