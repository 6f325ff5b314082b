//! The floors of the house, and the rules for imports between them.

use std::collections::BTreeSet;

use crate::imports::Import;

/// The modules from the ground up: a floor a line, a module a word.
///
/// A file belongs to the longest module here that it is part of, and imports only from that module
/// and from earlier lines. Modules on one floor do not know each other.
pub const FLOORS: &str = "
    sync  names  protocol/kind
    scan  stats
    error
    guarded  stderr  tcp  thread_pool
    protocol
    token

    engine/future  engine/inside  engine/open_dir  engine/sync_level
    engine/files
    engine/data_dir
    engine/mod

    engine/kvs/format  engine/kvs/journal  engine/kvs/options
    engine/kvs/index  engine/kvs/pool
    engine/kvs/log  engine/kvs/reader  engine/kvs/scan
    engine/kvs/writer
    engine/kvs/check
    engine/kvs/mod
    engine/sled  engine/tokio_fs  engine/repair

    client  server
    variants
    client/mod
    lib  cli
";

/// Imports that are wrong from any floor: the rule, and which modules do not import which.
const RULES: [(&str, &str, &str); 2] = [
    (
        "no client knows an engine",
        "client protocol variants",
        "engine server thread_pool",
    ),
    (
        "no engine knows the network",
        "engine",
        "client protocol server tcp variants",
    ),
];

pub const WHERE_TO_LOOK: &str = "The map of the house is in src/lib.rs, the floors are in \
    tests/house/layers.rs. Move the item down, or to a file of its own, or pass it as an argument.";

/// Returns the imports that do not lead to an earlier line of `floors`, and files without a floor.
pub fn upward(imports: &[Import], floors: &str) -> Vec<String> {
    let mut broken = BTreeSet::new();
    for import in imports {
        let [from, to] = [&import.from, &import.to].map(|file| {
            let place = place(file, floors);
            if place.is_none() {
                broken.insert(format!("each file has a floor: {file} has none"));
            }
            place
        });
        if let (Some(from), Some(to)) = (from, to)
            && from != to
            && from.0 <= to.0
        {
            let where_to = format!("{} is not below {}", to.1, from.1);
            broken.insert(format!("imports lead downwards: {import}, and {where_to}"));
        }
    }
    broken.into_iter().collect()
}

/// Returns the floor and the module that `file` belongs to.
fn place<'a>(file: &str, floors: &'a str) -> Option<(usize, &'a str)> {
    let floors = floors.lines().enumerate();
    let modules = floors.flat_map(|(at, line)| line.split_whitespace().map(move |it| (at, it)));
    let found = modules.filter(|(_, module)| is_in(file, module));
    found.max_by_key(|(_, module)| module.len())
}

/// Returns whether `file` is `module` or part of it.
fn is_in(file: &str, module: &str) -> bool {
    let rest = file.trim_start_matches("src/").strip_prefix(module);
    rest.is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
}

/// Returns the imports that a rule with a name forbids.
pub fn forbidden(imports: &[Import]) -> Vec<String> {
    let mut broken = Vec::new();
    for (rule, from, to) in RULES {
        let is_any = |file: &str, list: &str| list.split(' ').any(|module| is_in(file, module));
        let is_broken = |it: &&Import| is_any(&it.from, from) && is_any(&it.to, to);
        let found = imports.iter().filter(is_broken);
        broken.extend(found.map(|import| format!("{rule}: {import}")));
    }
    broken
}

/// Returns the imports that are part of a circle.
pub fn circles(imports: &[Import]) -> Vec<String> {
    let is_in_circle = |import: &&Import| reached(imports, &import.to).contains(&*import.from);
    let found = imports.iter().filter(is_in_circle);
    found
        .map(|import| format!("no circles: {import}"))
        .collect()
}

/// Returns the files that `start` imports, and those that they import.
fn reached<'a>(imports: &'a [Import], start: &str) -> BTreeSet<&'a str> {
    let mut files = BTreeSet::new();
    let mut left = vec![start];
    while let Some(file) = left.pop() {
        for import in imports.iter().filter(|import| import.from == file) {
            if files.insert(&*import.to) {
                left.push(&import.to);
            }
        }
    }
    files
}
