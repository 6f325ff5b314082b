//! The input and the output of the log: the requests of a batch, and their results.

use std::borrow::Cow;
use std::ops::Range;

use crate::engine::EngineFuture;
use crate::engine::kvs::format::record::{self, Salt};
use crate::error::KvsError;

/// A request that is committed in order with others.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) key: &'a str,
    pub(crate) op: Op<&'a str>,
}

/// What a request does with its key. `V` is the value to set.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Op<V> {
    Set(V),
    Remove,
    /// Reads the key after the writes that precede it in the queue and before the ones that follow.
    Get,
}

impl<V> Op<V> {
    /// Returns whether the request appends a record.
    pub(crate) fn is_write(&self) -> bool {
        !matches!(self, Op::Get)
    }

    /// Returns the value that the request sets, if it sets one.
    pub(crate) fn value(self) -> Option<V> {
        match self {
            Op::Set(value) => Some(value),
            Op::Remove | Op::Get => None,
        }
    }

    fn map<W>(self, map: impl FnOnce(V) -> W) -> Op<W> {
        match self {
            Op::Set(value) => Op::Set(map(value)),
            Op::Remove => Op::Remove,
            Op::Get => Op::Get,
        }
    }
}

/// The requests of a batch, in order.
///
/// A write becomes a record when it is queued, so that its value is copied once on the way to the
/// file, and no request takes an allocation of its own.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    /// The records of the writes. They have no numbers before they are sealed.
    records: Vec<u8>,
    /// The keys of the reads.
    read_keys: String,
    places: Vec<Place>,
}

/// The place of a request: the offset of its record or, if it is a read, of its key.
#[derive(Debug, Clone, Copy)]
struct Place {
    start: usize,
    key_len: usize,
    /// With the length of the value.
    op: Op<usize>,
}

impl Place {
    /// Returns the range of the record.
    fn record(self) -> Range<usize> {
        let value_len = self.op.value().unwrap_or(0);
        self.start..self.start + record::HEADER_LEN + self.key_len + value_len
    }
}

impl Requests {
    /// Adds a request, and returns its position. Its lengths have passed
    /// [`check_lengths`](record::check_lengths).
    pub(crate) fn push(&mut self, Request { key, op }: Request<'_>) -> usize {
        let start = if op.is_write() {
            record::draft(key, op.value(), &mut self.records)
        } else {
            self.read_keys.push_str(key);
            self.read_keys.len() - key.len()
        };
        self.places.push(Place {
            start,
            key_len: key.len(),
            op: op.map(str::len),
        });
        self.places.len() - 1
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// Returns what the requests do, with the lengths of the values.
    pub(crate) fn ops(&self) -> impl Iterator<Item = Op<usize>> {
        self.places.iter().map(|place| place.op)
    }

    /// Returns the keys from position `start` on.
    pub(crate) fn keys(&self, start: usize) -> impl Iterator<Item = &str> {
        self.places[start..].iter().map(|place| self.key(*place))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Request<'_>> {
        self.places.iter().map(|place| Request {
            key: self.key(*place),
            op: place.op.map(|len| {
                let end = place.record().end;
                text(&self.records[end - len..end])
            }),
        })
    }

    fn key(&self, Place { start, key_len, op }: Place) -> &str {
        if op.is_write() {
            text(&self.records[start + record::HEADER_LEN..][..key_len])
        } else {
            &self.read_keys[start..][..key_len]
        }
    }

    /// Completes the records of all writes but those at the positions `missing`, and returns them.
    /// Their numbers follow `sequence`.
    pub(crate) fn seal(&mut self, missing: &[usize], sequence: u64, salt: Salt) -> Cow<'_, [u8]> {
        let mut is_missing = missing.iter().copied().peekable();
        let places = self.places.iter().enumerate();
        let kept = places
            .filter(|(n, place)| place.op.is_write() && is_missing.next_if_eq(n).is_none())
            .map(|(_, place)| place.record());
        if missing.is_empty() {
            for (record, sequence) in kept.zip(sequence + 1..) {
                record::seal(&mut self.records[record], sequence, salt);
            }
            return Cow::Borrowed(&self.records);
        }
        let mut sealed = Vec::new();
        for (record, sequence) in kept.zip(sequence + 1..) {
            let start = sealed.len();
            sealed.extend_from_slice(&self.records[record]);
            record::seal(&mut sealed[start..], sequence, salt);
        }
        Cow::Owned(sealed)
    }

    /// Removes the requests. Keeps the memory for the next ones, unless it is more than `max` bytes.
    pub(crate) fn clear(&mut self, max: usize) {
        let Requests {
            records,
            read_keys,
            places,
        } = self;
        let places_bytes = places.capacity() * size_of::<Place>();
        if records.capacity() + read_keys.capacity() + places_bytes > max {
            *self = Requests::default();
            return;
        }
        records.clear();
        read_keys.clear();
        places.clear();
    }
}

impl<'a> FromIterator<Request<'a>> for Requests {
    fn from_iter<I: IntoIterator<Item = Request<'a>>>(requests: I) -> Requests {
        let mut all = Requests::default();
        for request in requests {
            all.push(request);
        }
        all
    }
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).expect("it was text when it was queued")
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
