//! The rules of the house: which file may import which, how long a file may be, and how its comments
//! read.
//!
//! `cargo test --test house -- --nocapture` also prints the counts. A rule that fails names the
//! file and the place to look.

mod imports;
mod layers;
mod made_up;
mod sizes;
mod tree;
mod words;

use std::fmt::Display;

use tree::read;

/// Every folder with source that a reader opens.
const ALL: [&str; 6] = ["src", "variants", "tests", "examples", "benches", "crates"];

#[test]
fn imports_lead_downwards() {
    let imports = imports::imports(&read(&["src", "variants"]));
    println!("{} imports between files\n", imports.len());
    let mut broken = layers::upward(&imports, layers::FLOORS);
    broken.extend(layers::circles(&imports));
    broken.extend(layers::forbidden(&imports));
    let lines = broken.join("\n");
    assert!(broken.is_empty(), "{lines}\n\n{}", layers::WHERE_TO_LOOK);
}

#[test]
fn files_are_short() {
    let (longest, median) = (sizes::LONGEST, sizes::median(&read(&["src"])));
    let mut files = sizes::sizes(&read(&ALL));
    println!("{}median of src: {median}\n", table("lines", &files));
    files.retain(|(lines, _)| *lines > longest);
    let long = table("lines", &files);
    assert!(files.is_empty(), "too long: more than {longest} {long}");
    assert!(
        median < sizes::MEDIAN,
        "the median of src is {median} lines"
    );
}

#[test]
fn comments_are_plain() {
    let counts = words::counts(&read(&ALL));
    let avoided = words::occurrences(&counts, words::AVOIDED);
    println!("{}", table("words to avoid", &avoided));
    let rate = words::whats(&counts);
    let heading = format!("{rate:.2} of 1,000 words in comments are \"what\"");
    println!("{heading}\n");
    let files = table(&heading, &words::occurrences(&counts, "what"));
    assert!(rate <= words::MOST_WHATS, "name the thing: {files}");
}

#[test]
fn hard_code_is_explained() {
    let counts = words::counts(&read(&["src"]));
    let mut failed = String::new();
    for part in words::HARD {
        let (rate, files) = words::body_comments(&counts, part);
        let heading = format!("{part} has {rate:.1} lines of comment in 100 lines of code");
        let files = table(&heading, &files);
        println!("{files}");
        if rate < words::FEWEST_COMMENTS {
            failed += &files;
        }
    }
    assert!(failed.is_empty(), "say why, where a reader stops: {failed}");
}

/// Returns a table of counts per file under a heading.
fn table(heading: &str, rows: &[(impl Display, String)]) -> String {
    let rows = rows
        .iter()
        .map(|(count, file)| format!("{count:>6}  {file}\n"));
    format!("{heading}\n{}", rows.collect::<String>())
}
