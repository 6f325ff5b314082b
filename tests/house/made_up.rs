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
    imports(&tree(&[
        ("src/lib.rs", "mod a; mod b;\npub use self::a::Item;"),
        ("src/a.rs", "pub struct Item;"),
        ("src/b.rs", b),
    ]))
}

#[test]
fn every_form_of_import_counts() {
    let forms = [
        "use crate::a::Item;",
        "use crate::a::{self};",
        "use crate::{\n    a::{\n        Item as Other,\n    },\n};",
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
        let text = &found[0].text;
        assert!(
            text.starts_with("src/b.rs:2 ") && text.ends_with(" src/a.rs"),
            "{form}: {text}"
        );
    }
}

#[test]
fn tests_comments_and_other_crates_do_not_count() {
    let others = [
        "#[cfg(test)]\nmod tests {\n    use crate::a::Item;\n}",
        "/// See [`crate::a::Item`].",
        "use a_crate::a::Item;",
        "use ::a::Item;",
        "pub(super) fn f(a: u8) -> u8 { a }",
    ];
    for other in others {
        assert!(imports_of_b(other).is_empty(), "{other}");
    }
}

#[test]
fn a_path_leads_through_faces_to_the_file_with_the_item() {
    let found = imports(&tree(&[
        ("src/client/mod.rs", "pub use self::deep::Item;"),
        (
            "src/client/deep.rs",
            "use super::boxed as it;\ntype A = it::Other;",
        ),
        ("src/lib.rs", "use self::client::Item;"),
        ("variants/boxed.rs", "pub struct Other;"),
    ]));
    let texts: Vec<_> = found.iter().map(|import| &*import.text).collect();
    let expected = [
        "src/lib.rs:1 imports `self::client::Item` from src/client/deep.rs",
        "src/client/deep.rs:1 imports `super::boxed` from variants/boxed.rs",
    ];
    assert_eq!(texts, expected);
}

#[test]
fn an_import_upwards_is_found() {
    let imports = imports_of_b("use crate::a::Item;");
    let text = "src/b.rs:1 imports `crate::a::Item` from src/a.rs";
    let upward = format!("imports lead downwards: {text}, and a is not below b");
    let homeless = format!("each file has a floor: {text}, and one has none");
    assert!(layers::upward(&imports, "a\nb").is_empty());
    assert_eq!(layers::upward(&imports, "b\na"), [&*upward]);
    assert_eq!(layers::upward(&imports, "a b"), [&*upward]);
    assert_eq!(layers::upward(&imports, "b"), [homeless]);
}

#[test]
fn a_circle_is_found() {
    let found = imports(&tree(&[
        ("src/a.rs", "use crate::b::B;"),
        ("src/b.rs", "use crate::c::C;"),
        ("src/c.rs", "use crate::a::A;\nuse crate::d::D;"),
        ("src/d.rs", ""),
    ]));
    let circle = layers::circles(&found);
    let message = "no circles: src/a.rs:1 imports `crate::b::B` from src/b.rs";
    assert_eq!(circle[0], message);
    assert_eq!(circle.len(), 3, "{circle:?}");
    assert!(layers::circles(&found[1..]).is_empty());
}

#[test]
fn a_client_that_knows_an_engine_and_an_engine_that_knows_the_network_are_found() {
    let found = imports(&tree(&[
        ("src/client/mod.rs", "use crate::engine::KvStore;"),
        ("src/engine.rs", "use crate::server::Limits;"),
        ("src/server.rs", "use crate::engine::KvStore;"),
    ]));
    let messages = layers::forbidden(&found);
    assert_eq!(messages.len(), 2, "{messages:?}");
    assert!(messages[0].starts_with("no client knows an engine: src/client/mod.rs:1 "));
    assert!(messages[1].starts_with("no engine knows the network: src/engine.rs:1 "));
}

#[test]
fn the_longest_file_is_last() {
    let tree = tree(&[("a", "\n"), ("b", "\n\n\n"), ("c", "\n\n")]);
    assert_eq!(sizes(&tree), [(1, "a"), (2, "c"), (3, "b")]);
}

#[test]
fn avoided_words_are_counted_in_comments_only() {
    let source =
        "//! Nobody is it?\n//! ```\n//! nobody\n//! ```\nf(\"// nobody\") /\u{2f} goes  on\n";
    let (rate, places) = words::avoided(&tree(&[("a", source)]));
    assert_eq!(places, ["a:1 nobody", "a:5 goes on"]);
    assert_eq!(rate, 400.0); // 2 of 5
}

#[test]
fn comments_in_bodies_are_counted() {
    let source = "/// Does f.\nfn f() {\n    // Why.\n    g(); // g\n\n}\n".to_owned();
    assert_eq!(format!("{:.1}", words::explained([&source])), "33.3"); // 1 in 3
}
