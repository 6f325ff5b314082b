//! A request on its way through the engine, from the call to its answer.

use std::io::{self, ErrorKind};
use std::panic::{self, AssertUnwindSafe};
use std::time::{Duration, Instant};

use futures::sync::oneshot;
use redis::{Cmd, Pipeline, ServerError, Value};

use super::counters::Permit;
use super::slots::{self, Addr, Slot};
use crate::engine::EngineFuture;
use crate::error::{KvsError, Result};

/// The end of the bridge in this runtime: the other end is in the caller's future. A oneshot of
/// futures 0.1 needs no runtime, so it carries the answer from one to the other.
type Answer<T> = oneshot::Sender<EngineFuture<T>>;

/// A question, and the caller who waits for the answer.
#[derive(Debug)]
pub(super) enum Ask {
    Get(Answer<Option<String>>),
    Set(String, Answer<()>),
    Remove(Answer<()>),
}

#[derive(Debug)]
pub(super) struct Job {
    pub(super) key: String,
    pub(super) slot: Slot,
    ask: Ask,
    pub(super) since: Instant,
    /// The node to ask once, while the slot moves there.
    pub(super) detour: Option<Addr>,
    /// The number of times that a node has sent it elsewhere.
    pub(super) redirections: u32,
    _permit: Permit,
}

/// The meaning that the reply of a node has for a request.
pub(super) enum Reply {
    /// The request is done, or never will be.
    Final(Value),
    /// The node has not done it. The slot is elsewhere now.
    Moved(String),
    /// The node has not done it. It has to be asked at another node once, while the slot moves.
    Ask(String),
    /// The node has not done it, and may later.
    NotNow(ServerError),
}

impl Job {
    pub(super) fn new(key: String, ask: Ask, permit: Permit) -> Job {
        Job {
            slot: slots::of_key(key.as_bytes()),
            key,
            ask,
            since: Instant::now(),
            detour: None,
            redirections: 0,
            _permit: permit,
        }
    }

    pub(super) fn is_write(&self) -> bool {
        !matches!(self.ask, Ask::Get(_))
    }

    /// Returns the number of bytes that it sends.
    pub(super) fn bytes(&self) -> usize {
        let value = match &self.ask {
            Ask::Set(value, _) => value.len(),
            Ask::Get(_) | Ask::Remove(_) => 0,
        };
        self.key.len() + value
    }

    pub(super) fn is_late(&self, limit: Duration) -> bool {
        self.since.elapsed() >= limit
    }

    /// Adds the commands of the request.
    pub(super) fn add_to(&self, pipeline: &mut Pipeline) {
        if self.detour.is_some() {
            pipeline.cmd("ASKING");
        }
        let (name, value) = match &self.ask {
            Ask::Get(_) => ("GET", None),
            Ask::Set(value, _) => ("SET", Some(value)),
            Ask::Remove(_) => ("DEL", None),
        };
        // A command that grows with each argument takes more memory, and more time.
        let mut command = Cmd::with_capacity(3, name.len() + self.bytes());
        command.arg(name).arg(&self.key).arg(value);
        pipeline.add_command(command);
    }

    /// Answers with the final reply of a node.
    pub(super) fn answer(self, node: &str, reply: Value) {
        match self.ask {
            Ask::Get(to) => send(to, value(node, &self.key, reply)),
            Ask::Set(_, to) => send(to, is_done(node, reply)),
            Ask::Remove(to) => send(to, is_removed(node, reply)),
        }
    }

    pub(super) fn fail(self, error: KvsError) {
        match self.ask {
            Ask::Get(to) => send(to, Err(error)),
            Ask::Set(_, to) | Ask::Remove(to) => send(to, Err(error)),
        }
    }
}

impl Reply {
    pub(super) fn of(value: Value) -> Reply {
        let Value::ServerError(error) = value else {
            return Reply::Final(value);
        };
        // The details are the slot and the address, as in `3999 127.0.0.1:7001`.
        let addr = || {
            error
                .details()
                .and_then(|it| it.split(' ').nth(1))
                .map(str::to_owned)
        };
        // The codes are those of the specification, and of nodes that start or lack replicas. A
        // node that replies with one of them has not begun the request.
        match (error.code(), addr()) {
            ("MOVED", Some(addr)) => Reply::Moved(addr),
            ("ASK", Some(addr)) => Reply::Ask(addr),
            (
                "CLUSTERDOWN" | "TRYAGAIN" | "READONLY" | "LOADING" | "MASTERDOWN" | "NOREPLICAS",
                _,
            ) => Reply::NotNow(error),
            _ => Reply::Final(Value::ServerError(error)),
        }
    }
}

/// Sends an answer. That wakes the caller's task, which runs the user's code.
fn send<T>(to: Answer<T>, answer: Result<T>) {
    // The panic hook has reported the panic, and the other callers must have their answers. If the
    // future is dropped, the answer has no receiver.
    let _ = panic::catch_unwind(AssertUnwindSafe(|| {
        let _ = to.send(EngineFuture::done(answer));
    }));
}

fn value(node: &str, key: &str, reply: Value) -> Result<Option<String>> {
    match reply {
        Value::Nil => Ok(None),
        Value::BulkString(bytes) => {
            let text = String::from_utf8(bytes);
            text.map(Some).map_err(|_| KvsError::NotUtf8 {
                key: key.to_owned(),
            })
        }
        other => Err(unexpected(node, &other)),
    }
}

fn is_done(node: &str, reply: Value) -> Result<()> {
    match reply {
        Value::Okay => Ok(()),
        other => Err(unexpected(node, &other)),
    }
}

fn is_removed(node: &str, reply: Value) -> Result<()> {
    match reply {
        Value::Int(0) => Err(KvsError::KeyNotFound),
        Value::Int(_) => Ok(()),
        other => Err(unexpected(node, &other)),
    }
}

/// Returns the error for a reply that is no answer.
fn unexpected(node: &str, reply: &Value) -> KvsError {
    let reason = match reply {
        // The node has reached its `maxmemory`.
        Value::ServerError(error) if error.code() == "OOM" => {
            let source = io::Error::new(ErrorKind::StorageFull, error.to_string());
            return KvsError::io(format_args!("write to {node}"))(source);
        }
        Value::ServerError(error) => format!("{node} refused the request: {error}"),
        other => format!("{node} replied {other:?}"),
    };
    KvsError::Cluster { reason }
}
