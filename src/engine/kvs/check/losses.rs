//! The losses that damage causes: the records that are gone, compared with the ones that are there.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use super::report::Lost;
use crate::engine::kvs::format::dir::LogDir;
use crate::engine::kvs::format::hints::Hints;
use crate::engine::kvs::format::names::Generation;
use crate::engine::kvs::format::record::{self, Digest, Location, Salt};
use crate::engine::kvs::format::segment::Segment;

/// The newest sound record of a key.
#[derive(Debug)]
pub(super) struct Newest {
    pub(super) sequence: u64,
    /// `None` if the record is a tombstone.
    pub(super) location: Option<Location>,
}

/// Everything that was in the damaged places of a log, as far as hints tell.
#[derive(Debug)]
pub(super) struct Losses<'a> {
    dir: LogDir<'a>,
    /// The salt of the log, if it is known.
    salt: Option<Salt>,
    /// The digests that the headers prove.
    proofs: BTreeMap<Generation, Digest>,
    /// The records that hints tell of.
    gone: Vec<Gone>,
    /// The places that no hints tell of.
    unknown: Vec<Lost>,
}

/// A record that was in a damaged place.
#[derive(Debug)]
struct Gone {
    key: String,
    sequence: u64,
    had_value: bool,
}

impl<'a> Losses<'a> {
    pub(super) fn new(dir: LogDir<'a>, salt: Option<Salt>) -> Losses<'a> {
        Losses {
            dir,
            salt,
            proofs: BTreeMap::new(),
            gone: Vec::new(),
            unknown: Vec::new(),
        }
    }

    /// Returns the salt of the log, if it is known.
    pub(super) fn salt(&self) -> Option<Salt> {
        self.salt
    }

    /// Sets the digests that the headers prove. From now on, hints with other digests do not count.
    pub(super) fn set_proofs(&mut self, proofs: BTreeMap<Generation, Digest>) {
        self.proofs = proofs;
    }

    /// Returns the digest that the records of a segment must have, if a header proves one.
    pub(super) fn proof(&self, generation: Generation) -> Option<Digest> {
        self.proofs.get(&generation).copied()
    }

    /// Returns the hints of a segment, unless they are known to belong to another one.
    pub(super) fn hints(&self, generation: Generation) -> Option<Hints> {
        let proof = self.proof(generation);
        // The segment itself cannot prove them, because it is damaged or missing.
        Hints::open(self.dir, generation).filter(|hints| {
            let header = &hints.header;
            self.salt.is_none_or(|salt| salt == header.salt)
                && proof.is_none_or(|digest| digest == header.digest)
        })
    }

    /// Notes the contents of a damaged `part` of a segment. `damage` is its place in the report.
    /// Without hints, the contents are unknown, except for a `guess` of the keys.
    pub(super) fn note(
        &mut self,
        damage: usize,
        generation: Generation,
        part: Range<u64>,
        guess: impl FnOnce() -> Vec<String>,
    ) {
        let mut gone = Vec::new();
        let read = self.hints(generation).and_then(|hints| {
            hints.read(|hint| {
                if part.contains(&hint.location.offset) {
                    gone.push(Gone {
                        key: hint.key.to_owned(),
                        sequence: hint.sequence,
                        had_value: hint.has_value,
                    });
                }
            })
        });
        // Damaged hints may lack some of the keys, so these do not count either.
        match read {
            Some(()) => self.gone.append(&mut gone),
            None => self.note_unknown(damage, guess()),
        }
    }

    /// Notes that the contents of a damaged place are unknown, except for a guess of the keys.
    pub(super) fn note_unknown(&mut self, damage: usize, keys: Vec<String>) {
        self.unknown.push(Lost::Unknown { damage, keys });
    }

    /// Compares the lost records with the ones that are still there.
    pub(super) fn compare(mut self, newest: &HashMap<String, Newest>) -> Vec<Lost> {
        // Only the last of several lost records of a key would be its newest one now.
        self.gone.sort_by_key(|gone| gone.sequence);
        let gone = self.gone.into_iter().map(|gone| (gone.key.clone(), gone));
        let last = gone.collect::<BTreeMap<_, _>>().into_values();

        let mut lost = self.unknown;
        lost.extend(last.filter_map(|gone| {
            let newest = newest.get(&gone.key);
            gone.compare(newest)
        }));
        lost
    }
}

impl Gone {
    /// Returns the loss, unless a newer record makes up for it. `newest` is the newest record of
    /// the key that is still there.
    fn compare(self, newest: Option<&Newest>) -> Option<Lost> {
        if newest.is_some_and(|newest| newest.sequence > self.sequence) {
            return None;
        }
        let key = self.key;
        let older_is_back = newest.is_some_and(|newest| newest.location.is_some());
        if self.had_value {
            Some(Lost::Value { key, older_is_back })
        } else {
            older_is_back.then_some(Lost::Removal { key })
        }
    }
}

/// Returns the keys of the records in a damaged part of a segment, if the lengths in their headers
/// lead exactly to its end.
pub(super) fn guess_keys(segment: &Segment, part: &Range<u64>) -> Vec<String> {
    const MAX: u64 = 64 * 1024 * 1024;
    let len = part.end - part.start;
    if len > MAX {
        // A guess is not worth that much memory.
        return Vec::new();
    }
    let bytes = segment.read(part.start, len as usize).unwrap_or_default();
    let mut rest = &bytes[..];
    let mut keys = Vec::new();
    // The checksums do not match, but the lengths and the keys may have survived.
    while let Some(header) = rest.first_chunk() {
        let Ok(header) = record::Header::decode_fields(header) else {
            break;
        };
        let Some(record) = rest.split_off(..header.record_len()) else {
            break;
        };
        let key = &record[record::HEADER_LEN..][..header.key_len];
        keys.push(String::from_utf8_lossy(key).into_owned());
    }
    if !rest.is_empty() {
        // A wrong length leads astray, and then all keys may be wrong.
        keys.clear();
    }
    keys
}
