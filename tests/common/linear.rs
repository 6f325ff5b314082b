//! Whether what many clients saw of one key could have happened one after the other, each request
//! at some moment between its beginning and its end.
//!
//! That is linearizability, and where it holds for every single key, it holds for all together.
//! This is the search of Wing and Gong, which with Lowe remembers where it has been: put one
//! request after the other, of those that could be next, and go back where none fits.
#![allow(dead_code, reason = "every test file uses a part of this")]

use std::collections::{HashMap, HashSet};
use std::mem;

/// The end of a request that had no answer. Its effect came at any time, or never.
pub const NEVER: u64 = u64::MAX;

/// A request to the key.
#[derive(Debug, Clone)]
pub struct Operation {
    pub effect: Effect,
    pub began: u64,
    pub ended: u64,
}

/// What a request did, as far as its client could tell.
#[derive(Debug, Clone)]
pub enum Effect {
    Got(Option<String>),
    Set(String),
    Removed,
    /// There was nothing to be removed.
    NotFound,
}

impl Effect {
    /// What the value is afterwards, where this can happen to `value`.
    pub fn apply<'a>(&'a self, value: Option<&'a str>) -> Option<Option<&'a str>> {
        match self {
            Effect::Got(got) => (got.as_deref() == value).then_some(value),
            Effect::Set(new) => Some(Some(new)),
            Effect::Removed => value.is_some().then_some(None),
            Effect::NotFound => value.is_none().then_some(None),
        }
    }

    fn is_read(&self) -> bool {
        matches!(self, Effect::Got(_) | Effect::NotFound)
    }
}

/// Looks for an order of what was done to a key, which was not there at first; no two values that
/// were set are the same. The error says how far it came.
pub fn linearize(operations: &[Operation]) -> Result<(), String> {
    let mut operations: Vec<_> = operations.iter().collect();
    operations.sort_by_key(|op| (op.ended == NEVER, op.began));
    let answered = operations.partition_point(|op| op.ended != NEVER);
    let read = operations.iter().filter_map(|op| match &op.effect {
        Effect::Got(value) => value.as_deref(),
        _ => None,
    });
    let history = History {
        read: read.collect(),
        operations,
        answered,
    };
    let mut furthest = Point::default();
    let mut seen: HashMap<_, Vec<_>> = HashMap::new();
    let mut to_do = vec![Point::default()];
    while let Some(point) = to_do.pop() {
        if point.done() == answered {
            return Ok(());
        }
        for mut point in history.after(&point) {
            // It is no news where it was reached before with as much left, or more.
            let used = mem::take(&mut point.used);
            let before = seen.entry(point.clone()).or_default();
            let is_in_used = |part: &Vec<_>| part.iter().all(|n| used.contains(n));
            if !before.iter().any(is_in_used) {
                before.push(used.clone());
                to_do.push(Point { used, ..point });
            }
        }
        if point.done() > furthest.done() {
            furthest = point;
        }
    }
    let candidates = history.candidates(&furthest).into_iter();
    let candidates = candidates.map(|n| format!("\n{:?}", history.operations[n]));
    Err(format!(
        "after {} of {answered} it is {:?}, and there is no way on:{}",
        furthest.done(),
        furthest.value,
        candidates.collect::<String>()
    ))
}

/// Operations in the order of their beginnings, those with an answer first.
struct History<'a> {
    operations: Vec<&'a Operation>,
    answered: usize,
    /// All values that anyone read.
    read: HashSet<&'a str>,
}

/// How far an order has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct Point<'a> {
    value: Option<&'a str>,
    /// Of the operations with an answer, all before this one are done ...
    next: usize,
    /// ... but for these.
    skipped: Vec<usize>,
    /// Of those without an answer, the ones that had their effect.
    used: Vec<usize>,
}

impl Point<'_> {
    fn done(&self) -> usize {
        self.next - self.skipped.len()
    }
}

impl<'a> History<'a> {
    /// The operations with an answer that a point has left, in their order.
    fn left(&self, point: &Point<'_>) -> impl Iterator<Item = usize> {
        let skipped = point.skipped.iter().copied();
        skipped.chain(point.next..self.answered)
    }

    /// Which operations can be next: none that began after another had ended that is left.
    fn candidates(&self, point: &Point<'_>) -> Vec<usize> {
        let mut first_end = NEVER;
        let in_time = self.left(point).take_while(|n| {
            let op = self.operations[*n];
            let is_in_time = op.began < first_end;
            first_end = first_end.min(op.ended);
            is_in_time
        });
        let mut candidates: Vec<_> = in_time.collect();
        let unanswered = self.answered..self.operations.len();
        candidates.extend(unanswered.filter(|n| {
            let is_in_time = self.operations[*n].began < first_end;
            is_in_time && !point.used.contains(n)
        }));
        candidates
    }

    /// What the value is after an operation, where that can be next.
    fn apply(&self, n: usize, value: Option<&'a str>) -> Option<Option<&'a str>> {
        let after = self.operations[n].effect.apply(value)?;
        // Nobody can tell those from one another.
        Some(after.map(|after| self.read.get(after).copied().unwrap_or("never read")))
    }

    /// The points that are one operation further, the most promising last.
    fn after(&self, point: &Point<'a>) -> Vec<Point<'a>> {
        let apply = |n| Some((n, self.apply(n, point.value)?));
        let candidates = self.candidates(point).into_iter();
        let mut steps: Vec<_> = candidates.filter_map(apply).collect();
        let is_read = |n: usize| self.operations[n].effect.is_read();
        if let Some(read) = steps.iter().position(|(n, _)| is_read(*n)) {
            // It prevents nothing, and so may as well come first.
            steps = vec![steps[read]];
        } else if point.value.is_some()
            && self.left(point).any(|n| is_read(n) && apply(n).is_some())
        {
            // Somebody is still to read the value, and it would not come back.
            steps.clear();
        }
        // Of those that come to the same, whoever is in a hurry may as well come first.
        steps.sort_by_key(|(n, _)| self.operations[*n].ended);
        let mut values = HashSet::new();
        steps.retain(|(_, value)| values.insert(*value));
        steps.reverse();
        let points = steps.into_iter().map(|(n, value)| {
            let mut after = point.clone();
            after.value = value;
            if n >= self.answered {
                after.used.push(n);
            } else {
                after.skipped.extend(point.next..=n);
                after.skipped.retain(|skipped| *skipped != n);
                after.next = point.next.max(n + 1);
            }
            after
        });
        points.collect()
    }
}
