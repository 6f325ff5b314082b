//! The words of the pages: those that a reader looks for, and those that hide the actor.

use std::fmt::Write;

use pulldown_cmark::{Event, Tag, TagEnd};

use super::{Page, avoided, pages};

/// How many of 1,000 words of a page may be avoided ones.
const MOST_AVOIDED: f64 = 2.0;

/// The words of the field. A reader who searches for one of them finds it in the course.
const FIELD: [&str; 19] = [
    "async",
    "back-pressure",
    "blocking",
    "busy loop",
    "cancel",
    "complete",
    "concurren",
    "deadlock",
    "error handling",
    "executor",
    "parallel",
    "reactor",
    "resolve",
    "retry",
    "starv",
    "state machine",
    "time limit",
    "timeout",
    "yield",
];

impl Page {
    /// Returns the prose: the text without code, one block a line.
    fn prose(&self) -> String {
        let mut prose = String::new();
        let mut is_code = false;
        for (event, _) in self.events() {
            match event {
                Event::Start(Tag::CodeBlock(_)) => is_code = true,
                Event::End(TagEnd::CodeBlock) => is_code = false,
                Event::Text(text) if !is_code => prose += &text,
                Event::SoftBreak => prose.push(' '),
                Event::End(_) if !is_code => prose.push('\n'),
                _ => {}
            }
        }
        prose
    }
}

#[test]
fn pages_are_plain() {
    let mut broken = String::new();
    for page in pages() {
        let prose = page.prose();
        let (found, words) = avoided::avoided(&prose);
        let rate = 1000.0 * found.len() as f64 / words as f64;
        println!("{rate:6.2} of 1,000 words are avoided ones: {}", page.path);
        if rate > MOST_AVOIDED {
            let lines = prose
                .lines()
                .filter(|line| !avoided::avoided(line).0.is_empty());
            let _ = writeln!(broken, "{}: {rate:.2} of 1,000 words", page.path);
            lines.for_each(|line| broken += &format!("    {line}\n"));
        }
    }
    assert!(
        broken.is_empty(),
        "{broken}\nName the actor and the thing. The words are in tests/house/avoided.rs."
    );
}

#[test]
fn the_words_of_the_field_are_in_the_course() {
    let course: Vec<_> = pages()
        .iter()
        .map(|page| page.prose().to_lowercase())
        .collect();
    for word in FIELD {
        let is_there = course.iter().any(|prose| prose.contains(word));
        assert!(is_there, "no page says {word:?}");
    }
}
