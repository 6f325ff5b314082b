//! The rules of the house: which file may import which, how long a file may be, and how its
//! comments read.
//!
//! A rule that fails names the file and the place to look. `cargo test --test house -- --nocapture`
//! also prints the counts.

mod avoided;
mod imports;
mod layers;
mod made_up;
mod tree;
mod words;

use tree::{Tree, read};

/// The lines that a file may have. Clippy holds those of functions, see `clippy.toml`.
const LONGEST: usize = 450;

/// The lines that half of the files in `src` stay below.
const MEDIAN: usize = 150;

/// Every folder with source that a reader opens.
const ALL: [&str; 6] = ["src", "variants", "tests", "examples", "benches", "crates"];

#[test]
fn imports_lead_downwards() {
    let imports = imports::imports(&read(&["src", "variants"]));
    println!("{} imports between files", imports.len());
    let mut broken = layers::upward(&imports, layers::FLOORS);
    broken.extend(layers::circles(&imports));
    broken.extend(layers::forbidden(&imports));
    let lines = broken.join("\n");
    assert!(broken.is_empty(), "{lines}\n\n{}", layers::WHERE_TO_LOOK);
}

#[test]
fn the_files_of_a_program_import_each_other_in_no_circle() {
    for name in ["kvs-client", "kvs-server"] {
        let imports = imports::imports(&tree::program(name));
        println!("{} imports between the files of {name}", imports.len());
        assert!(!imports.is_empty(), "{name} has several files");
        let circles = layers::circles(&imports).join("\n");
        assert!(
            circles.is_empty(),
            "in {name}, as src/:\n{circles}\n\n{}",
            layers::WHERE_TO_LOOK
        );
    }
}

#[test]
fn files_are_short() {
    let (source, all) = (read(&["src"]), read(&ALL));
    let (median, _) = sizes(&source)[source.len() / 2];
    println!("the median of src is {median} lines");
    assert!(median < MEDIAN, "the median of src is below {MEDIAN} lines");
    for (lines, file) in sizes(&all) {
        assert!(
            lines <= LONGEST,
            "{file}:{lines}: a file has at most {LONGEST} lines. Move a part of it to another file."
        );
    }
}

#[test]
fn comments_are_plain() {
    let (rate, places) = words::avoided(&read(&ALL));
    let counts = format!(
        "{rate:.2} of 1,000 words in comments are avoided ones:\n{}",
        places.join("\n")
    );
    println!("{counts}");
    assert!(
        rate <= words::MOST_AVOIDED,
        "{counts}\n\nName the actor and the thing. The words are in tests/house/avoided.rs."
    );
}

#[test]
fn comments_have_at_most_100_columns() {
    let wide = words::wide(&read(&ALL)).join("\n");
    let width = words::WIDTH;
    assert!(
        wide.is_empty(),
        "these lines have more than {width} columns:\n{wide}"
    );
}

#[test]
fn hard_code_is_explained() {
    let mut source = read(&["src"]);
    source.retain(|file, _| !file.ends_with("/tests.rs"));
    let mut failed = String::new();
    for part in words::HARD {
        let files = source.iter().filter(|(file, _)| file.starts_with(part));
        let rate = words::explained(files.clone().map(|(_, text)| text));
        let counts = format!("{rate:.1} lines of comment in 100 lines of code: {part}\n");
        print!("{counts}");
        if rate < words::FEWEST_COMMENTS {
            failed += &counts;
            let rates = files.map(|(file, text)| (words::explained([text]), file));
            let low = rates.filter(|(rate, _)| *rate < words::FEWEST_COMMENTS);
            failed.extend(low.map(|(rate, file)| format!("{rate:6.1} {file}\n")));
        }
    }
    assert!(
        failed.is_empty(),
        "{failed}\nSay why, at each place where a reader stops. The parts are in \
         tests/house/words.rs."
    );
}

/// Returns the number of lines of each file, in ascending order.
fn sizes(tree: &Tree) -> Vec<(usize, &str)> {
    let sizes = tree
        .iter()
        .map(|(file, text)| (text.lines().count(), &**file));
    let mut sizes: Vec<_> = sizes.collect();
    sizes.sort_unstable();
    sizes
}
