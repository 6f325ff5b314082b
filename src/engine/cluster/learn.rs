//! Learning which master has which slots, from the nodes themselves.

use std::collections::BTreeSet;
use std::time::Duration;

use futures03::StreamExt;
use futures03::stream::FuturesUnordered;
use redis::{Pipeline, Value};
use tokio1::time;

use super::node;
use super::options::Login;
use super::slots::{self, Addr, Topology};
use crate::error::{KvsError, Result};

/// The time in which the other nodes can answer after the first one.
const OTHERS: Duration = Duration::from_millis(200);

/// The time in which a node has to answer.
const ANSWER: Duration = Duration::from_secs(2);

/// The topology as a node knows it.
pub(super) struct Learned {
    pub(super) topology: Topology,
    /// Whether the node finds the cluster sound.
    is_ok: bool,
    /// The number of the last change that the node has heard of.
    epoch: u64,
}

/// Asks the nodes `known` and the seeds, and returns the newest answer: a node that was cut off may
/// not know yet that a replica has taken its place.
pub(super) async fn topology(
    login: &Login,
    known: BTreeSet<Addr>,
) -> std::result::Result<Learned, String> {
    let seeds = login.seeds.iter().map(|seed| Addr::from(&**seed));
    let addrs: BTreeSet<_> = known.into_iter().chain(seeds).collect();
    // All are asked at once, because some of them may be gone.
    let mut asked: FuturesUnordered<_> = addrs.into_iter().map(|it| ask(login, it)).collect();
    let (mut answers, mut problem) = (Vec::new(), "no node is known".to_owned());
    let mut limit = ANSWER;
    while let Ok(Some(answer)) = time::timeout(limit, asked.next()).await {
        match answer {
            Ok(learned) => {
                answers.push(learned);
                // A node that hangs must not keep the others waiting.
                limit = OTHERS;
            }
            Err(error) => problem = error,
        }
    }
    // Of answers of one age, the one that most nodes give counts: the epoch reaches a node before
    // the slots of that epoch do.
    let votes = |of: &Learned| {
        answers
            .iter()
            .filter(|it| it.topology == of.topology)
            .count()
    };
    let newest = (0..answers.len()).max_by_key(|n| {
        let answer = &answers[*n];
        (
            answer.is_ok,
            answer.epoch,
            votes(answer),
            answer.topology.covered(),
        )
    });
    newest.map(|n| answers.swap_remove(n)).ok_or(problem)
}

async fn ask(login: &Login, addr: Addr) -> std::result::Result<Learned, String> {
    let failed = |problem: &dyn std::fmt::Display| format!("{addr}: {problem}");
    let answer = query(login, &addr, [&["CLUSTER", "SLOTS"], &["CLUSTER", "INFO"]]).await;
    let answer = answer.map_err(|problem| failed(&problem))?;
    let [slots, info] = &answer[..] else {
        return Err(failed(&"it answers in another form"));
    };
    if let Value::ServerError(error) = slots {
        return Err(failed(error));
    }
    let info = slots::text(info).unwrap_or_default();
    let field = |name: &str| {
        let mut lines = info.lines().filter_map(|line| line.split_once(':'));
        lines
            .find(|(field, _)| *field == name)
            .map(|(_, value)| value)
    };
    let host = node::split(&addr).map_or("", |(host, _)| host);
    // A node that has joined no cluster yet has no slots, and must not hide those of the others.
    let topology = Topology::read(slots, host).ok_or_else(|| failed(&"unknown slots"))?;
    if topology.covered() == 0 {
        return Err(failed(&"it has no slots yet"));
    }
    Ok(Learned {
        topology,
        is_ok: field("cluster_state") == Some("ok"),
        epoch: field("cluster_current_epoch")
            .and_then(|it| it.parse().ok())
            .unwrap_or(0),
    })
}

/// Asks a node two things. Returns its replies, or the reason why there are none.
async fn query(
    login: &Login,
    addr: &str,
    commands: [&[&str]; 2],
) -> std::result::Result<Vec<Value>, String> {
    let asked = async {
        let mut connection = node::connect(addr, &login.redis()).await?;
        let mut pipeline = Pipeline::new();
        for command in commands {
            pipeline.cmd(command[0]).arg(&command[1..]);
        }
        connection.send_packed_commands(&pipeline, 0, 2).await
    };
    let answer = time::timeout(ANSWER, asked).await;
    let answer = answer.map_err(|_| format!("no answer within {ANSWER:?}"))?;
    answer.map_err(|error| error.to_string())
}

/// Checks that no master drops keys when its memory is full.
///
/// # Errors
///
/// [`KvsError::Cluster`] if one does. A node that does not tell, as in a managed service, passes.
pub(super) async fn check_memory(login: &Login, topology: &Topology) -> Result<()> {
    for addr in topology.masters() {
        let settings = [
            &["CONFIG", "GET", "maxmemory"][..],
            &["CONFIG", "GET", "maxmemory-policy"],
        ];
        let Ok(settings) = query(login, &addr, settings).await else {
            continue;
        };
        let setting = |n: usize| slots::text(slots::array(settings.get(n)?)?.get(1)?);
        let (limit, policy) = (setting(0), setting(1));
        if limit.is_some_and(|limit| limit != "0") && policy.is_some_and(|it| it != "noeviction") {
            let policy = policy.unwrap_or_default();
            return Err(KvsError::Cluster {
                reason: format!(
                    "{addr} drops keys when its memory is full ({policy}): set its \
                     maxmemory-policy to noeviction"
                ),
            });
        }
    }
    Ok(())
}
