use std::collections::HashMap;

use super::*;

fn at(offset: u64) -> Location {
    Location {
        offset,
        generation: 1,
        len: 100,
    }
}

/// An index that has room for two values of 100 bytes.
fn index() -> Index {
    let mut index = Index::default();
    index.set_cache_capacity(300);
    index
}

fn cache(index: &mut Index, key: &str, location: Location, value: &str) {
    if let Some(n) = index.number(key) {
        index.cache_at(n, location, value);
    }
}

fn value(index: &Index, key: &str) -> Option<String> {
    index.lookup(key)?.value().map(str::to_owned)
}

fn put(index: &mut Index, key: &str, offset: u64) {
    let value = format!("{key:100}");
    index.put(key, at(offset), Some(&value));
}

#[test]
fn values_that_are_in_use_outlast_those_that_are_not() {
    let mut index = index();
    put(&mut index, "used", 0);
    for n in 1..1000 {
        assert!(value(&index, "used").is_some());
        put(&mut index, &n.to_string(), n);
        let cached = (1..=n).filter(|n| {
            index.entries[index.number(&n.to_string()).unwrap()]
                .value
                .is_some()
        });
        assert_eq!(cached.count(), 1);
    }
    assert_eq!(index.len(), 1000);
}

#[test]
fn what_is_kept_never_takes_more_than_was_said() {
    let mut index = index();
    for n in 0..1000 {
        let key = (n % 7).to_string();
        match n % 3 {
            0 => index.remove(&key),
            1 => put(&mut index, &key, n),
            _ => cache(&mut index, &key, at(n - 1), &"x".repeat(n as usize)),
        }
        value(&index, &(n % 5).to_string());
        assert!(index.cache.bytes() <= 300);
        assert_eq!(index.live_bytes(), 100 * index.len() as u64);
    }
}

#[test]
fn the_live_bytes_of_a_segment_are_those_of_its_entries() {
    let mut index = index();
    for n in 0..1000 {
        let key = (n % 7).to_string();
        let location = |generation| Location {
            offset: n,
            generation,
            len: n as u32,
        };
        match n % 5 {
            0 => index.remove(&key),
            1 => index.relocate(&key, location(n as u32 / 50)),
            _ => index.put(&key, location(n as u32 / 100), None),
        }
        let mut all = 0;
        for generation in 0..20 {
            let entries = index.iter().map(|(_, location)| location);
            let entries = entries.filter(|location| location.generation == generation);
            let bytes: u64 = entries.map(|location| u64::from(location.len)).sum();
            assert_eq!(index.live_bytes_of(generation), bytes);
            all += bytes;
        }
        assert_eq!(index.live_bytes(), all);
    }
}

#[test]
fn a_value_is_kept_only_where_it_is_still_the_newest() {
    let mut index = index();
    index.put("key", at(0), None);
    index.put("key", at(1), None);
    cache(&mut index, "key", at(0), "old");
    assert_eq!(value(&index, "key"), None);
    cache(&mut index, "key", at(1), "new");
    assert_eq!(value(&index, "key").as_deref(), Some("new"));
    let copy = Location {
        generation: 2,
        ..at(1)
    };
    index.relocate("key", copy);
    assert_eq!(index.location("key"), Some(copy));
    assert_eq!(value(&index, "key").as_deref(), Some("new"));
    index.relocate("key", at(2));
    assert_eq!(index.location("key"), Some(copy));
    index.put("key", at(3), None);
    assert_eq!(value(&index, "key"), None);
}

#[test]
fn keys_that_come_and_go_take_no_room_and_others_stay() {
    let mut index = index();
    index.put("", at(1), None);
    index.put("1", at(2), None);
    for n in 0..1000 {
        let key = format!("1{n:0100}");
        put(&mut index, &key, n);
        assert_eq!(index.location(&key), Some(at(n)));
        index.remove(&key);
        assert_eq!(index.location(&key), None);
        assert!(index.keys.len() < 300);
    }
    let all: HashMap<_, _> = index.iter().collect();
    assert_eq!(all, HashMap::from([("", at(1)), ("1", at(2))]));
}

#[test]
fn looking_ahead_finds_any_keys_and_changes_nothing() {
    let mut index = Index::default();
    let none = ["a"];
    index.look_ahead(none.into_iter());
    index.set_cache_capacity(100_000);
    for n in 0..20_000 {
        put(&mut index, &n.to_string(), n);
    }
    for n in 0..100 {
        index.remove(&n.to_string());
    }
    let places = |index: &Index| {
        let mut places: Vec<_> = index
            .iter()
            .map(|(key, at)| (key.to_owned(), at, value(index, key)))
            .collect();
        places.sort_by_key(|(_, at, _)| at.offset);
        places
    };
    let before = places(&index);
    assert_eq!(before.len(), 19_900);
    // Cached and not cached, removed, never there, twice, and more than it takes at once.
    let keys = ["19999", "200", "7", "", "no", "200"].into_iter();
    index.look_ahead(keys.clone());
    index.look_ahead(keys.cycle().take(1000));
    index.look_ahead([].into_iter());
    assert_eq!(places(&index), before);
}
