//! The input and the output of the log: the requests of a batch, and their results.

use std::ops::Range;

use crate::engine::EngineFuture;
use crate::error::KvsError;

/// A request that is committed in order with others.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) key: String,
    pub(crate) op: Op,
}

#[derive(Debug)]
pub(crate) enum Op {
    Set(String),
    Remove,
    /// Reads the key after the writes that precede it in the queue and before the ones that follow.
    Get,
}

impl Op {
    /// Returns whether the request appends a record.
    pub(crate) fn is_write(&self) -> bool {
        !matches!(self, Op::Get)
    }

    /// Returns the value that the request sets, if it sets one.
    pub(crate) fn value(&self) -> Option<&str> {
        match self {
            Op::Set(value) => Some(value),
            Op::Remove | Op::Get => None,
        }
    }
}

/// The results of a batch. A request that is in none of the lists has succeeded.
///
/// Requests are named by their positions in the batch.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// The errors, each with the positions of the writes that failed.
    pub(crate) errors: Vec<(Range<usize>, KvsError)>,
    /// The positions of the removals whose key did not exist, in ascending order.
    pub(crate) missing: Vec<usize>,
    /// The positions of the reads with their results, in ascending order.
    pub(crate) found: Vec<(usize, EngineFuture<Option<String>>)>,
}

impl Outcome {
    /// Returns the outcome of a batch that is never committed.
    pub(crate) fn given_up() -> Outcome {
        let reason = "the thread that should have committed the request is gone".to_owned();
        let error = KvsError::EngineStopped { reason };
        // The range has the positions of all requests, however many there are.
        Outcome {
            errors: vec![(0..usize::MAX, error)],
            ..Outcome::default()
        }
    }

    /// Returns the error of the write at position `n`, if it failed.
    pub(crate) fn error(&self, n: usize) -> Option<&KvsError> {
        // There is seldom more than one range: a batch fails as a whole, or each half of it does.
        let mut errors = self.errors.iter();
        errors.find_map(|(range, error)| range.contains(&n).then_some(error))
    }

    /// Appends the outcome of the rest of a batch whose first `len` requests have this outcome.
    pub(crate) fn append(&mut self, len: usize, rest: Outcome) {
        let errors = rest.errors.into_iter();
        self.errors
            .extend(errors.map(|(range, error)| (range.start + len..range.end + len, error)));
        self.missing.extend(rest.missing.iter().map(|n| n + len));
        let found = rest.found.into_iter();
        self.found.extend(found.map(|(n, found)| (n + len, found)));
    }
}
