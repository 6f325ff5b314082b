//! The log's input and output: requests that are committed together, and their results.

use std::ops::Range;

use crate::engine::EngineFuture;
use crate::error::KvsError;

/// What somebody asked for that needs the writer's turn.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) key: String,
    pub(crate) op: Op,
}

#[derive(Debug)]
pub(crate) enum Op {
    Set(String),
    Remove,
    /// To look the key up after the writes before this one, and before those after it.
    Find,
}

impl Op {
    /// What the key is to have, if it is to have a value.
    pub(crate) fn value(&self) -> Option<&str> {
        match self {
            Op::Set(value) => Some(value),
            Op::Remove | Op::Find => None,
        }
    }
}

/// What became of a batch.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// The errors, each with the places of the writes that failed.
    pub(crate) errors: Vec<(Range<usize>, KvsError)>,
    /// The places of those that wanted to remove a key that was not there, in ascending order.
    pub(crate) missing: Vec<usize>,
    /// What was found, with the places of those that looked for it, in ascending order.
    pub(crate) found: Vec<(usize, EngineFuture<Option<String>>)>,
}

impl Outcome {
    /// Returns the outcome of a batch that nobody commits.
    pub(crate) fn given_up() -> Outcome {
        let reason = "the thread that should have done it is gone".to_owned();
        let error = KvsError::EngineStopped { reason };
        Outcome {
            errors: vec![(0..usize::MAX, error)],
            ..Outcome::default()
        }
    }

    pub(crate) fn error(&self, n: usize) -> Option<&KvsError> {
        let mut errors = self.errors.iter();
        errors.find_map(|(range, error)| range.contains(&n).then_some(error))
    }

    /// Adds the outcome of the rest of the batch, after its first `len` requests.
    pub(crate) fn extend(&mut self, len: usize, rest: Outcome) {
        let errors = rest.errors.into_iter();
        self.errors
            .extend(errors.map(|(range, error)| (range.start + len..range.end + len, error)));
        self.missing.extend(rest.missing.iter().map(|n| n + len));
        let found = rest.found.into_iter();
        self.found.extend(found.map(|(n, found)| (n + len, found)));
    }
}
