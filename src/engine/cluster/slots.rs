//! Slots: which part of a cluster has a key.
//!
//! A cluster has 16,384 slots, and each belongs to one master. The [specification of Redis
//! Cluster](https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/) says how a
//! key becomes a slot.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::Arc;

use crc16::{State, XMODEM};
use redis::Value;

/// The address of a node, as `HOST:PORT`.
pub(super) type Addr = Arc<str>;

pub(super) type Slot = u16;

/// The number of slots.
pub(super) const SLOTS: Slot = 16_384;

/// Returns the slot of a key. Of a key such as `{user}.name`, only `user` counts, so that a client
/// can keep keys together.
pub(super) fn of_key(key: &[u8]) -> Slot {
    let tag = || {
        let start = key.iter().position(|byte| *byte == b'{')? + 1;
        let len = key[start..].iter().position(|byte| *byte == b'}')?;
        (len > 0).then(|| &key[start..start + len])
    };
    State::<XMODEM>::calculate(tag().unwrap_or(key)) % SLOTS
}

/// Which master has which slots.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Topology {
    /// The owner of each slot, or nothing before the first answer.
    owners: Vec<Option<Addr>>,
}

impl Topology {
    /// Reads the reply to `CLUSTER SLOTS` of a node at `host`. Returns `None` if it is of another
    /// form.
    pub(super) fn read(reply: &Value, host: &str) -> Option<Topology> {
        let mut topology = Topology {
            owners: vec![None; SLOTS.into()],
        };
        for range in array(reply)? {
            let [first, last, master, ..] = array(range)? else {
                return None;
            };
            let [master_host, port, ..] = array(master)? else {
                return None;
            };
            // A node may not know its own name. Then it is the one that was asked.
            let master_host = text(master_host)
                .filter(|host| !host.is_empty())
                .unwrap_or(host);
            let addr = Addr::from(format!("{master_host}:{}", number(port)?));
            for slot in slot(first)?..=slot(last)? {
                topology.set(slot, &addr);
            }
        }
        Some(topology)
    }

    pub(super) fn owner(&self, slot: Slot) -> Option<&Addr> {
        self.owners.get(usize::from(slot))?.as_ref()
    }

    pub(super) fn set(&mut self, slot: Slot, owner: &Addr) {
        if let Some(of_slot) = self.owners.get_mut(usize::from(slot)) {
            *of_slot = Some(Addr::clone(owner));
        }
    }

    /// Returns the masters that own slots, in the order of their addresses.
    pub(super) fn masters(&self) -> BTreeSet<Addr> {
        self.owners.iter().flatten().cloned().collect()
    }

    /// Returns the number of slots that have an owner.
    pub(super) fn covered(&self) -> usize {
        self.owners.iter().flatten().count()
    }
}

pub(super) fn array(value: &Value) -> Option<&[Value]> {
    match value {
        Value::Array(values) => Some(values),
        _ => None,
    }
}

pub(super) fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => str::from_utf8(bytes).ok(),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text),
        _ => None,
    }
}

pub(super) fn number(value: &Value) -> Option<i64> {
    match value {
        Value::Int(n) => Some(*n),
        _ => None,
    }
}

fn slot(value: &Value) -> Option<Slot> {
    const VALID: RangeInclusive<Slot> = 0..=SLOTS - 1;
    let slot = Slot::try_from(number(value)?).ok()?;
    VALID.contains(&slot).then_some(slot)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_the_slots_of_the_specification() {
        assert_eq!(of_key(b"123456789"), 0x31C3);
        assert_eq!(of_key(b"{user1000}.following"), of_key(b"user1000"));
        assert_eq!(
            of_key(b"foo{}{bar}"),
            State::<XMODEM>::calculate(b"foo{}{bar}") % SLOTS
        );
        assert_eq!(of_key(b"foo{{bar}}zap"), of_key(b"{bar"));
        assert_eq!(of_key(b"foo{bar}{zap}"), of_key(b"bar"));
        assert_eq!(
            of_key(b"foo{bar"),
            State::<XMODEM>::calculate(b"foo{bar") % SLOTS
        );
    }

    #[test]
    fn a_reply_without_a_host_names_the_node_that_was_asked() {
        let node =
            |host: &str, port| Value::Array(vec![Value::BulkString(host.into()), Value::Int(port)]);
        let range =
            |first, last, master| Value::Array(vec![Value::Int(first), Value::Int(last), master]);
        let reply = Value::Array(vec![
            range(0, 8000, node("", 7000)),
            range(8001, 16_383, node("10.0.0.2", 7001)),
        ]);
        let topology = Topology::read(&reply, "10.0.0.1").unwrap();
        assert_eq!(topology.owner(8000).unwrap().as_ref(), "10.0.0.1:7000");
        assert_eq!(topology.owner(8001).unwrap().as_ref(), "10.0.0.2:7001");
        assert_eq!((topology.covered(), topology.masters().len()), (16_384, 2));
        let beyond = Value::Array(vec![range(0, 16_384, node("", 7000))]);
        assert!(Topology::read(&beyond, "10.0.0.1").is_none());
    }
}
