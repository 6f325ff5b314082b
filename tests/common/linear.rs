//! A check that a history of requests is linearizable.
//!
//! A history is linearizable if its requests could have taken effect one after the other, each at
//! some moment between its start and its end. A history of a store is linearizable if the requests
//! to each single key are, so this checks one key.
//!
//! The check is the search of Wing and Gong: it appends one request after the other that could be
//! next, and goes back when none is possible. As Lowe proposed, it remembers the points that it has
//! reached.
#![allow(dead_code, reason = "every test file uses a part of this")]

use std::collections::{HashMap, HashSet};
use std::mem;

/// The end of a request without an answer. It may have taken effect at any time, or never.
pub const NEVER: u64 = u64::MAX;

/// A request to the key, with the times at which it began and ended.
#[derive(Debug, Clone)]
pub struct Operation {
    pub effect: Effect,
    pub began: u64,
    pub ended: u64,
}

/// The effect of a request, as its client saw it.
#[derive(Debug, Clone)]
pub enum Effect {
    Got(Option<String>),
    Set(String),
    Removed,
    /// The key to remove did not exist.
    NotFound,
}

impl Effect {
    /// Returns the value after this effect on `value`, or `None` if `value` rules the effect out.
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

/// Searches for an order of the requests to one key. The key does not exist at first, and no two
/// requests set the same value. The error describes the longest order that was found.
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
            // Skip it if the search has reached it before with the same `used`, or with a part of
            // it.
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
        "after {} of {answered} requests the value is {:?}, and there is no way on:{}",
        furthest.done(),
        furthest.value,
        candidates.collect::<String>()
    ))
}

/// Operations sorted by their start. Those with an answer come first.
struct History<'a> {
    operations: Vec<&'a Operation>,
    answered: usize,
    /// All values that a client read.
    read: HashSet<&'a str>,
}

/// A point in the search: an order of some of the operations.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct Point<'a> {
    value: Option<&'a str>,
    /// The order contains all operations with an answer before this one ...
    next: usize,
    /// ... except these.
    skipped: Vec<usize>,
    /// The operations without an answer that the order contains.
    used: Vec<usize>,
}

impl Point<'_> {
    fn done(&self) -> usize {
        self.next - self.skipped.len()
    }
}

impl<'a> History<'a> {
    /// Returns the operations with an answer that are left at a point, sorted.
    fn left(&self, point: &Point<'_>) -> impl Iterator<Item = usize> {
        let skipped = point.skipped.iter().copied();
        skipped.chain(point.next..self.answered)
    }

    /// Returns the operations that can be next: those that began before any other that is left
    /// ended.
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

    /// Returns the value after an operation, or `None` if `value` rules the operation out.
    fn apply(&self, n: usize, value: Option<&'a str>) -> Option<Option<&'a str>> {
        let after = self.operations[n].effect.apply(value)?;
        // No client can tell values apart that are never read, so they count as one.
        Some(after.map(|after| self.read.get(after).copied().unwrap_or("never read")))
    }

    /// Returns the points that are one operation further, the most promising last.
    fn after(&self, point: &Point<'a>) -> Vec<Point<'a>> {
        let apply = |n| Some((n, self.apply(n, point.value)?));
        let candidates = self.candidates(point).into_iter();
        let mut steps: Vec<_> = candidates.filter_map(apply).collect();
        let is_read = |n: usize| self.operations[n].effect.is_read();
        if let Some(read) = steps.iter().position(|(n, _)| is_read(*n)) {
            // A read changes nothing, so putting it first rules no order out.
            steps = vec![steps[read]];
        } else if point.value.is_some()
            && self.left(point).any(|n| is_read(n) && apply(n).is_some())
        {
            // A read that is left needs this value, and a value that is replaced never comes back.
            steps.clear();
        }
        // Of the operations that lead to the same value, try only the one that ends first.
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
