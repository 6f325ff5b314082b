//! The imports from one file of the library into another, resolved to the file that has the item.
//!
//! A path counts wherever it stands, in a `use` or in the code. `pub use self::child::Item` is a face
//! and does not count: a path through it leads to the file behind it. Modules under `#[cfg(test)]`
//! do not count either. Programs are above everything, so their imports cannot be wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display};
use std::mem;

use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{Attribute, Expr, Ident, ItemMod, ItemUse, Lit, Macro, Path, Token, UseTree, Visibility};

use crate::tree::Tree;

/// The first path in one file that leads to another.
#[derive(Debug)]
pub struct Import {
    pub from: String,
    pub line: usize,
    /// The path as it is written.
    pub path: String,
    pub to: String,
}

impl Display for Import {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Import {
            from,
            line,
            path,
            to,
        } = self;
        write!(f, "{from}:{line} imports `{path}` from {to}")
    }
}

/// The modules under their full names, as in `crate::engine`.
type Modules = BTreeMap<String, Module>;

#[derive(Default)]
struct Module {
    file: String,
    /// The names that `use` brings in, with the paths that they stand for.
    names: BTreeMap<String, Vec<String>>,
    /// Each path with its line.
    paths: Vec<(Vec<String>, usize)>,
}

/// Returns the imports between the files of the library in `tree`, sorted by file and line.
pub fn imports(tree: &Tree) -> Vec<Import> {
    let mut reader = Reader::new(tree);
    reader.read("src/lib.rs");
    let modules = reader.modules;
    let mut imports = Vec::new();
    for (name, module) in &modules {
        for (path, line) in &module.paths {
            if let Some(target) = resolve(&modules, name, path) {
                imports.push(Import {
                    from: module.file.clone(),
                    line: *line,
                    path: path.join("::"),
                    to: modules[&target].file.clone(),
                });
            }
        }
    }
    imports.retain(|import| import.from != import.to);
    imports.sort_by(|a, b| (&a.from, a.line).cmp(&(&b.from, b.line)));
    let mut seen = BTreeSet::new();
    imports.retain(|import| seen.insert((import.from.clone(), import.to.clone())));
    imports
}

/// Returns the module that has the item `path` of `module`, or `None` if it is in another crate.
fn resolve(modules: &Modules, module: &str, path: &[String]) -> Option<String> {
    let (first, rest) = path.split_first()?;
    let child = format!("{module}::{first}");
    let start = match first.as_str() {
        "crate" => "crate",
        "self" => module,
        "super" => module.rsplit_once("::")?.0,
        _ if modules.contains_key(&child) => &child,
        name => {
            let source = modules[module].names.get(name)?;
            // `use log::{self, Level}` imports a crate under its own name.
            if source[0] == name {
                return None;
            }
            return resolve(modules, module, &[source, rest].concat());
        }
    };
    // A name that `start` neither declares nor imports is that of an item in it.
    resolve(modules, start, rest).or_else(|| Some(start.to_owned()))
}

/// Reads the modules from the root on.
struct Reader<'a> {
    tree: &'a Tree,
    modules: Modules,
    /// The name of the module that is read now.
    module: String,
}

impl<'a> Reader<'a> {
    fn new(tree: &'a Tree) -> Self {
        Reader {
            tree,
            modules: Modules::new(),
            module: "crate".to_owned(),
        }
    }

    /// Reads the module from its file.
    fn read(&mut self, file: &str) {
        let syntax = syn::parse_file(&self.tree[file]).unwrap_or_else(|e| panic!("{file}: {e}"));
        self.module().file = file.to_owned();
        self.visit_file(&syntax);
    }

    /// Returns the file of the module, which `item` of its `parent` declares.
    fn file_of(&self, item: &ItemMod, parent: &str) -> String {
        if let Some(path) = item.attrs.iter().find_map(path_attribute) {
            return beside(&self.modules[parent].file, &path);
        }
        let path = self.module.replacen("crate", "src", 1).replace("::", "/");
        let files = [format!("{path}.rs"), format!("{path}/mod.rs")];
        let found = files.into_iter().find(|file| self.tree.contains_key(file));
        found.unwrap_or_else(|| panic!("there is no {path}.rs and no {path}/mod.rs"))
    }

    fn module(&mut self) -> &mut Module {
        self.modules.entry(self.module.clone()).or_default()
    }

    fn add(&mut self, path: &[&Ident]) {
        let line = path[0].span().start().line;
        self.module().paths.push((text(path), line));
    }

    /// Adds the paths of a `use`, and the names that it brings in.
    fn import<'t>(&mut self, tree: &'t UseTree, mut path: Vec<&'t Ident>, is_public: bool) {
        let (item, mut name) = match tree {
            UseTree::Path(next) => {
                path.push(&next.ident);
                return self.import(&next.tree, path, is_public);
            }
            UseTree::Group(group) => {
                let items = group.items.iter();
                return items.for_each(|it| self.import(it, path.clone(), is_public));
            }
            UseTree::Glob(_) => return self.add(&path),
            UseTree::Name(name) => (&name.ident, &name.ident),
            UseTree::Rename(renamed) => (&renamed.ident, &renamed.rename),
        };
        if item != "self" {
            path.push(item);
        } else if name == "self" {
            name = path[path.len() - 1];
        }
        if !is_public || path[0] != "self" {
            self.add(&path);
        }
        self.module().names.insert(name.to_string(), text(&path));
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if item.attrs.iter().any(is_cfg_test) {
            return;
        }
        let child = format!("{}::{}", self.module, item.ident);
        let parent = mem::replace(&mut self.module, child);
        if item.content.is_some() {
            self.module().file = self.modules[&parent].file.clone();
            visit::visit_item_mod(self, item);
        } else {
            let file = self.file_of(item, &parent);
            self.read(&file);
        }
        self.module = parent;
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        if item.leading_colon.is_none() {
            let is_public = !matches!(item.vis, Visibility::Inherited);
            self.import(&item.tree, Vec::new(), is_public);
        }
    }

    fn visit_path(&mut self, path: &'ast Path) {
        let idents: Vec<_> = path.segments.iter().map(|segment| &segment.ident).collect();
        // A single word may be a variable with the name of a module.
        let is_item = idents.len() > 1 || self.module().names.contains_key(&text(&idents)[0]);
        if path.leading_colon.is_none() && is_item {
            self.add(&idents);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, mac: &'ast Macro) {
        self.visit_path(&mac.path);
        // The arguments have no syntax of their own. Those of most macros are expressions.
        let arguments = mac.parse_body_with(Punctuated::<Expr, Token![,]>::parse_terminated);
        for argument in arguments.iter().flatten() {
            self.visit_expr(argument);
        }
    }

    /// Skips `pub(super)`, which is no import.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}
}

fn text(path: &[&Ident]) -> Vec<String> {
    path.iter().map(ToString::to_string).collect()
}

fn is_cfg_test(attribute: &Attribute) -> bool {
    let condition = attribute.parse_args::<Ident>();
    attribute.path().is_ident("cfg") && condition.is_ok_and(|condition| condition == "test")
}

/// Returns the path from the root to the file that is at `path` from the folder of `file`.
fn beside(file: &str, path: &str) -> String {
    let mut parts: Vec<_> = file.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Returns the file that `#[path = ".."]` names.
fn path_attribute(attribute: &Attribute) -> Option<String> {
    if attribute.path().is_ident("path")
        && let Ok(pair) = attribute.meta.require_name_value()
        && let Expr::Lit(literal) = &pair.value
        && let Lit::Str(path) = &literal.lit
    {
        return Some(path.value());
    }
    None
}
