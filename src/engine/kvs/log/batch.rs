//! The input and the output of the log: the requests of a batch, and their results.

use std::ops::Range;

use crate::engine::EngineFuture;
use crate::engine::kvs::format::record::{self, Salt};
use crate::error::KvsError;

/// A request that is committed in order with others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Request<'a> {
    pub(crate) key: &'a str,
    pub(crate) op: Op<&'a str>,
}

/// The operation of a request. `V` is the value to set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
/// A write becomes a record when it is queued, so that its value is usually copied once on the way
/// to the file, and no request takes an allocation of its own.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    /// The records of the writes. They have no numbers before they are sealed.
    records: Vec<u8>,
    /// The keys of the reads.
    read_keys: String,
    spans: Vec<Span>,
}

/// The span of a request in `records` or, if it is a read, in `read_keys`.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: usize,
    key_len: usize,
    /// The operation, with the length of its value.
    op: Op<usize>,
}

impl Span {
    /// Returns the range of the record.
    fn record(self) -> Range<usize> {
        self.start..self.start + record::len(self.key_len, self.op.value())
    }
}

impl Requests {
    /// Adds a request, and returns its position. The lengths of a write have passed
    /// [`check_lengths`](record::check_lengths).
    pub(crate) fn push(&mut self, Request { key, op }: Request<'_>) -> usize {
        let start = if op.is_write() {
            record::draft(key, op.value(), &mut self.records)
        } else {
            self.read_keys.push_str(key);
            self.read_keys.len() - key.len()
        };
        self.spans.push(Span {
            start,
            key_len: key.len(),
            op: op.map(str::len),
        });
        self.spans.len() - 1
    }

    pub(crate) fn len(&self) -> usize {
        self.spans.len()
    }

    pub(crate) fn has_writes(&self) -> bool {
        !self.records.is_empty()
    }

    /// Returns the keys from position `start` on.
    pub(crate) fn keys(&self, start: usize) -> impl Iterator<Item = &str> {
        self.spans[start..].iter().map(|span| self.key(*span))
    }

    /// Returns each key with its operation, which has the length of the value.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, Op<usize>)> {
        self.spans.iter().map(|span| (self.key(*span), span.op))
    }

    /// Returns the value that the request at position `n` sets, if it sets one.
    pub(crate) fn value(&self, n: usize) -> Option<&str> {
        self.op(self.spans[n]).value()
    }

    fn key(&self, Span { start, key_len, op }: Span) -> &str {
        if op.is_write() {
            text(&self.records[start + record::HEADER_LEN..][..key_len])
        } else {
            &self.read_keys[start..][..key_len]
        }
    }

    fn op(&self, span: Span) -> Op<&str> {
        span.op.map(|len| {
            let end = span.record().end;
            text(&self.records[end - len..end])
        })
    }

    /// Returns copies of the requests at the positions that `keeps` accepts.
    pub(crate) fn filter(&self, keeps: impl Fn(usize) -> bool) -> Requests {
        let mut kept = Requests::default();
        for (_, span) in self.spans.iter().enumerate().filter(|(n, _)| keeps(*n)) {
            let (key, op) = (self.key(*span), self.op(*span));
            kept.push(Request { key, op });
        }
        kept
    }

    /// Completes the records of the writes, and returns them. Their numbers follow `sequence`.
    pub(crate) fn seal(&mut self, sequence: u64, salt: Salt) -> &[u8] {
        let writes = self.spans.iter().filter(|span| span.op.is_write());
        for (span, sequence) in writes.zip(sequence + 1..) {
            record::seal(&mut self.records[span.record()], sequence, salt);
        }
        &self.records
    }

    /// Removes the requests. Keeps up to three times `max` bytes of memory for the next ones.
    pub(crate) fn clear(&mut self, max: usize) {
        self.records.clear();
        self.records.shrink_to(max);
        self.read_keys.clear();
        self.read_keys.shrink_to(max);
        self.spans.clear();
        self.spans.shrink_to(max / size_of::<Span>());
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::kvs::format::record::Record;

    const SALT: Salt = Salt(7);

    const REQUESTS: [Request<'static>; 5] = [
        Request {
            key: "a",
            op: Op::Set("1"),
        },
        Request {
            key: "b",
            op: Op::Get,
        },
        Request {
            key: "c",
            op: Op::Remove,
        },
        Request {
            key: "",
            op: Op::Get,
        },
        Request {
            key: "d",
            op: Op::Set("väl"),
        },
    ];

    fn requests() -> Requests {
        let mut requests = Requests::default();
        for (n, request) in REQUESTS.into_iter().enumerate() {
            assert_eq!(requests.push(request), n);
        }
        requests
    }

    /// Returns the requests of a batch as they were pushed.
    fn all(batch: &Requests) -> Vec<Request<'_>> {
        let requests = batch.iter().enumerate();
        let requests = requests.map(|(n, (key, op))| Request {
            key,
            op: op.map(|_| batch.value(n).unwrap_or_default()),
        });
        requests.collect()
    }

    #[test]
    fn requests_come_back_as_they_were_pushed() {
        let mut batch = requests();
        assert_eq!(all(&batch), REQUESTS);
        assert_eq!(batch.value(1), None);
        assert_eq!(all(&batch.filter(|n| n != 0)), REQUESTS[1..]);
        batch.clear(0);
        assert_eq!((batch.len(), batch.has_writes()), (0, false));
        assert_eq!(batch.records.capacity() + batch.read_keys.capacity(), 0);
        assert_eq!(batch.spans.capacity(), 0);
        assert_eq!(batch.push(REQUESTS[4]), 0);
        assert_eq!(all(&batch), [REQUESTS[4]]);
    }

    #[test]
    fn the_records_of_writes_are_numbered_without_gaps_each_time_they_are_sealed() {
        let mut batch = requests();
        for sequence in [5, 0] {
            let mut bytes = batch.seal(sequence, SALT);
            let writes = REQUESTS.iter().filter(|request| request.op.is_write());
            for (request, sequence) in writes.zip(sequence + 1..) {
                let (key, value) = (request.key, request.op.value());
                let record = Record {
                    sequence,
                    key,
                    value,
                };
                assert_eq!(Record::decode(bytes, SALT), Ok(record));
                bytes = &bytes[record::len(key.len(), value.map(str::len))..];
            }
            assert!(bytes.is_empty());
        }
    }
}
