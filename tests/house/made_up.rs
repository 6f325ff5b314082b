//! The rules find made-up faults, and only those.

use crate::imports::{Import, imports};
use crate::tree::Tree;
use crate::{layers, sizes, words};

fn tree(files: &[(&str, &str)]) -> Tree {
    let owned = |(path, source): &(&str, &str)| ((*path).to_owned(), (*source).to_owned());
    files.iter().map(owned).collect()
}

/// Returns the imports of a crate of `a` and `b`, where the source of `b` is given.
fn imports_of_b(b: &str) -> Vec<Import> {
    let lib = "mod a; mod b; pub use self::a::Item;";
    let a = "pub struct Item;";
    imports(&tree(&[
        ("src/lib.rs", lib),
        ("src/a.rs", a),
        ("src/b.rs", b),
    ]))
}

#[test]
fn every_form_of_import_counts() {
    let forms = [
        "use crate::a::Item;",
        "use crate::a::{self};",
        "use crate::{a::{Item as Other}};",
        "use super::a::*;",
        "use super::Item;",
        "pub use crate::Item;",
        "type A = crate::a::Item;",
        "fn f() { g(super::a::Item) }",
        "fn f() { println!(\"{}\", super::a::Item) }",
    ];
    for form in forms {
        let found = imports_of_b(&format!("\n{form}"));
        assert_eq!(found.len(), 1, "{form}: {found:?}");
        let (from, to) = ("src/b.rs", "src/a.rs");
        let import = &found[0];
        assert!(
            import.from == from && import.line == 2 && import.to == to,
            "{form}: {import:?}"
        );
    }
}

#[test]
fn tests_and_other_crates_do_not_count() {
    let others = [
        "#[cfg(test)] mod tests { use crate::a::Item; }",
        "#[cfg(test)] mod tests;",
        "use a_crate::a::Item;",
        "use ::a::Item;",
        "pub(super) fn f(a: u8) -> u8 { a }",
    ];
    for other in others {
        assert!(imports_of_b(other).is_empty(), "{other}");
    }
}

#[test]
fn modules_are_found_in_files_and_folders() {
    let lib = "mod one; #[path = \"../variants/two.rs\"] mod two;";
    let found = imports(&tree(&[
        ("src/lib.rs", lib),
        ("src/one/mod.rs", "mod deep; use self::deep::Item;"),
        ("src/one/deep.rs", "pub struct Item; use crate::two::Other;"),
        (
            "variants/two.rs",
            "pub struct Other; #[path = \"more/two.rs\"] mod more;",
        ),
        ("variants/more/two.rs", "use super::Other;"),
    ]));
    assert_eq!(found.len(), 3, "{found:?}");
    assert_eq!(found[0].to, "variants/two.rs");
    assert_eq!(found[1].to, "src/one/deep.rs");
    assert_eq!(found[2].from, "variants/more/two.rs");
}

#[test]
fn an_import_upwards_is_found() {
    let imports = imports_of_b("use crate::a::Item;");
    assert!(layers::upward(&imports, "a\nb").is_empty());
    let message = "imports lead downwards: src/b.rs:1 imports `crate::a::Item` from src/a.rs, \
        and a is not below b";
    assert_eq!(layers::upward(&imports, "b\na"), [message]);
    assert_eq!(layers::upward(&imports, "a b"), [message]);
    let message = "each file has a floor: src/a.rs has none";
    assert_eq!(layers::upward(&imports, "b"), [message]);
}

#[test]
fn a_circle_is_found() {
    let found = imports(&tree(&[
        ("src/lib.rs", "mod a; mod b; mod c; mod d;"),
        ("src/a.rs", "use crate::b::B;"),
        ("src/b.rs", "use crate::c::C;"),
        ("src/c.rs", "use crate::a::A; use crate::d::D;"),
        ("src/d.rs", ""),
    ]));
    let circle = layers::circles(&found);
    let message = "no circles: src/a.rs:1 imports `crate::b::B` from src/b.rs";
    assert_eq!(circle[0], message);
    assert_eq!(circle.len(), 3, "{circle:?}");
    assert!(layers::circles(&found[1..]).is_empty());
}

#[test]
fn a_client_that_knows_an_engine_is_found() {
    let found = imports(&tree(&[
        ("src/lib.rs", "mod client; mod engine;"),
        ("src/client/mod.rs", "use crate::engine::KvStore;"),
        ("src/engine.rs", ""),
    ]));
    let message = "no client knows an engine: src/client/mod.rs:1 imports \
        `crate::engine::KvStore` from src/engine.rs";
    assert_eq!(layers::forbidden(&found), [message]);
}

#[test]
fn a_long_file_is_first() {
    let tree = tree(&[("a", "\n"), ("b", "\n\n\n"), ("c", "\n\n")]);
    assert_eq!(sizes::sizes(&tree)[0], (3, "b".to_owned()));
    assert_eq!(sizes::median(&tree), 2);
}

#[test]
fn words_and_comments_are_counted() {
    let source = "\
//! What is it?
//! ```text
//! what
//! ```

// Somebody goes
// on.
fn f() {
    \"// what\" // what
}
";
    let counts = words::counts(&tree(&[("a", source), ("b", "fn f() {}")]));
    assert_eq!(format!("{:.1}", words::whats(&counts)), "285.7"); // 2 of 7
    let found = words::occurrences(&counts, words::AVOIDED);
    assert_eq!(found, [(4, "a: what 2 somebody 1 goes on 1".to_owned())]);
    let (rate, files) = words::body_comments(&counts, "");
    assert_eq!(rate, 50.0); // 2 in 4
    assert_eq!(files[0], ("0.0".to_owned(), "b".to_owned()));
    assert_eq!(files[1], ("66.7".to_owned(), "a".to_owned()));
}
