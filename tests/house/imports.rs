//! The imports from one file of the library into another, resolved to the file that has the item.
//!
//! A path counts wherever it stands, in a `use` or in the code. `pub use self::child::Item` is a
//! face and does not count: a path through it leads to the file behind it. Tests do not count
//! either. Programs are above everything, so only a circle of their own files can be wrong.
//!
//! The source is read line by line, in the form that `cargo fmt` gives it: a `use` begins a line,
//! and the module `tests` ends a file.

use std::collections::{BTreeMap, BTreeSet};

use crate::tree::{Tree, split_comment};

/// The first path in one file that leads to another.
#[derive(Debug)]
pub struct Import {
    pub from: String,
    pub to: String,
    /// The two, the line and the path, for messages.
    pub text: String,
}

/// The modules under their full names, as in `crate::engine`.
type Modules<'a> = BTreeMap<String, Module<'a>>;

#[derive(Default)]
struct Module<'a> {
    file: &'a str,
    /// The names that `use` brings in, with the paths that they stand for.
    names: BTreeMap<String, String>,
    /// Each path with its line.
    paths: Vec<(usize, String)>,
}

/// Returns the imports between the files of the library in `tree`, in the order of the modules.
pub fn imports(tree: &Tree) -> Vec<Import> {
    let is_part = |file: &str| !file.starts_with("src/bin/") && !file.ends_with("/tests.rs");
    let files = tree.iter().filter(|(file, _)| is_part(file));
    let modules: Modules = files
        .map(|(file, source)| (module_name(file), Module::read(file, source)))
        .collect();
    let mut seen = BTreeSet::new();
    let mut imports = Vec::new();
    for (name, module) in &modules {
        for (line, path) in &module.paths {
            let Some(target) = resolve(&modules, name, path) else {
                continue;
            };
            let (from, to) = (module.file, modules[target.as_str()].file);
            if from != to && seen.insert((from, to)) {
                let text = format!("{from}:{line} imports `{path}` from {to}");
                let (from, to) = (from.to_owned(), to.to_owned());
                imports.push(Import { from, to, text });
            }
        }
    }
    imports
}

/// Returns the full name of the module in `file`.
fn module_name(file: &str) -> String {
    // The stream of a client is a child of the client.
    let file = match file.strip_prefix("variants/streams/") {
        Some(client) => client.replace(".rs", "/scan.rs"),
        None => file.replace("variants/", ""),
    };
    let folder = if file.contains("src/") {
        ""
    } else {
        "src/client/"
    };
    let path = format!("{folder}{file}").replace('/', "::");
    let path = path.trim_end_matches(".rs").trim_end_matches("::mod");
    path.trim_end_matches("::lib").replacen("src", "crate", 1)
}

/// Returns the module that has the item `path` of `module`, or `None` if it is in another crate.
fn resolve(modules: &Modules, module: &str, path: &str) -> Option<String> {
    let (first, rest) = path.split_once("::").unwrap_or((path, ""));
    let child = format!("{module}::{first}");
    let start = match first {
        "crate" => "crate",
        "self" => module,
        "super" => module.rsplit_once("::")?.0,
        _ if modules.contains_key(&child) => &child,
        name => {
            let source = modules[module].names.get(name)?;
            // `use log::{self, Level}` imports a crate under its own name.
            if source.split("::").next() == Some(name) {
                return None;
            }
            return resolve(modules, module, &format!("{source}::{rest}"));
        }
    };
    // A name that `start` neither declares nor imports is that of an item in it.
    resolve(modules, start, rest).or_else(|| Some(start.to_owned()))
}

impl<'a> Module<'a> {
    fn read(file: &'a str, source: &str) -> Self {
        let mut module = Module {
            file,
            ..Module::default()
        };
        let code = source.split("mod tests {").next().unwrap();
        let mut lines = (1..).zip(code.lines().map(|line| split_comment(line).0));
        while let Some((line, text)) = lines.next() {
            let is_use =
                |(access, _): &(&str, &str)| access.is_empty() || access.starts_with("pub");
            if let Some((access, tree)) = text.trim_start().split_once("use ").filter(is_use) {
                let mut tree = tree.to_owned();
                while !tree.ends_with(';') {
                    tree += lines.next().unwrap().1.trim();
                }
                for path in expand(tree.trim_end_matches(';')) {
                    module.import(line, &path, !access.is_empty());
                }
            } else {
                module.add_paths(line, text);
            }
        }
        module
    }

    /// Adds a path of a `use`, and the name that it brings in.
    fn import(&mut self, line: usize, path: &str, is_public: bool) {
        let (path, name) = path.split_once(" as ").unwrap_or((path, path));
        let [path, name] = [path, name].map(|it| it.trim_end_matches("::self"));
        let path = path.trim_end_matches("::*");
        let name = name.rsplit("::").next().unwrap();
        self.names.insert(name.to_owned(), path.to_owned());
        if !is_public || !path.starts_with("self::") {
            self.paths.push((line, path.to_owned()));
        }
    }

    /// Adds the paths in a line of code.
    fn add_paths(&mut self, line: usize, text: &str) {
        for path in text.split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':') {
            let path = path.trim_end_matches(':');
            // A single word that no `use` brought in may be a variable with the name of a module.
            if path.contains("::") || self.names.contains_key(path) {
                self.paths.push((line, path.to_owned()));
            }
        }
    }
}

/// Splits `a::{b, c::{d as e}}` into `a::b` and `a::c::d as e`.
fn expand(tree: &str) -> Vec<String> {
    let Some((prefix, group)) = tree.split_once('{') else {
        return vec![tree.to_owned()];
    };
    let mut depth = 0;
    let is_end = |c: char| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        c == ',' && depth == 0
    };
    let trees = group[..group.len() - 1].split(is_end).map(str::trim);
    trees
        .filter(|tree| !tree.is_empty())
        .flat_map(expand)
        .map(|path| format!("{prefix}{path}"))
        .collect()
}
