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
    error/connection
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
    engine/cluster/slots
    engine/cluster/counters
    engine/cluster/job  engine/cluster/options
    engine/cluster/node
    engine/cluster/learn
    engine/cluster/work
    engine/cluster/router  engine/cluster/scan
    engine/cluster/driver
    engine/cluster/mod
    engine/sled  engine/tokio_fs  engine/repair

    client  server
    variants
    client/mod
    lib
";

/// Rules for all floors: the name, the modules that it is for, and the modules that they do not
/// import.
const RULES: &str = "
    no client knows an engine: client protocol variants / engine server thread_pool
    no engine knows the network: engine / client protocol server tcp variants
";

pub const WHERE_TO_LOOK: &str = "The map of the house is in src/lib.rs, the floors are in \
    tests/house/layers.rs. Move the item down, or to a file of its own, or pass it as an argument.";

/// Returns the imports that do not lead to an earlier line of `floors`.
pub fn upward(imports: &[Import], floors: &str) -> Vec<String> {
    let mut broken = Vec::new();
    for Import { from, to, text } in imports {
        match (place(from, floors), place(to, floors)) {
            (Some(from), Some(to)) if from == to || from.0 > to.0 => {}
            (Some((_, from)), Some((_, to))) => broken.push(format!(
                "imports lead downwards: {text}, and {to} is not below {from}"
            )),
            _ => broken.push(format!("each file has a floor: {text}, and one has none")),
        }
    }
    broken
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

/// Returns the imports that a rule forbids.
pub fn forbidden(imports: &[Import]) -> Vec<String> {
    let is_any = |file: &str, list: &str| list.split(' ').any(|module| is_in(file, module));
    let mut broken = Vec::new();
    for line in RULES.trim().lines() {
        let (rule, modules) = line.trim().split_once(": ").unwrap();
        let (from, to) = modules.split_once(" / ").unwrap();
        let is_broken = |it: &&Import| is_any(&it.from, from) && is_any(&it.to, to);
        let found = imports.iter().filter(is_broken);
        broken.extend(found.map(|import| format!("{rule}: {}", import.text)));
    }
    broken
}

/// Returns the imports that are part of a circle, or between two.
pub fn circles(imports: &[Import]) -> Vec<String> {
    let mut left: Vec<_> = imports.iter().collect();
    loop {
        let importing: BTreeSet<_> = left.iter().map(|import| &import.from).collect();
        let imported: BTreeSet<_> = left.iter().map(|import| &import.to).collect();
        let is_between = |it: &Import| importing.contains(&it.to) && imported.contains(&it.from);
        let before = left.len();
        left.retain(|import| is_between(import));
        if left.len() == before {
            let lines = left.iter().map(|import| &import.text);
            return lines.map(|text| format!("no circles: {text}")).collect();
        }
    }
}
