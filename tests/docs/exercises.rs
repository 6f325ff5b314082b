//! The pages and the exercises name each other.

use std::fs;
use std::path::Path;

use pulldown_cmark::{Event, Tag, TagEnd};
use serde::Deserialize;

use super::Page;

#[derive(Deserialize)]
struct Info {
    exercises: Vec<Exercise>,
}

#[derive(Deserialize)]
struct Exercise {
    name: String,
    dir: String,
    page: String,
    level: u8,
    minutes: u32,
    hint: String,
}

impl Exercise {
    /// Returns the page that teaches it, and the heading on it.
    fn place(&self) -> (Page, &str) {
        let (page, heading) = self.page.split_once('#').expect("a page and a heading");
        (Page::read(&Path::new("docs").join(page)), heading)
    }
}

fn exercises() -> Vec<Exercise> {
    let text = fs::read_to_string("exercises/info.toml").unwrap();
    toml::from_str::<Info>(&text).unwrap().exercises
}

#[test]
fn each_exercise_names_a_heading_and_its_hint_the_page() {
    for exercise in exercises() {
        let (page, heading) = exercise.place();
        let name = &exercise.name;
        assert!(
            page.anchors().contains(heading),
            "{name}: no heading {heading}"
        );
        let hint = &exercise.hint;
        assert!(
            hint.contains(&page.path),
            "the hint of {name} does not lead to {}",
            page.path
        );
    }
}

#[test]
fn the_list_of_exercises_is_that_of_the_set() {
    let page = Page::read(Path::new("docs/exercises.md")).text;
    let rows = page.lines().filter(|line| line.starts_with("| [`")).count();
    assert_eq!(rows, exercises().len(), "docs/exercises.md: the rows");
    let count = format!("Here are {rows} exercises");
    assert!(page.contains(&count), "docs/exercises.md: no {count:?}");
    let mut rest = &*page;
    for Exercise {
        name,
        dir,
        page,
        level,
        minutes,
        ..
    } in exercises()
    {
        let link = format!("| [`{name}`](../exercises/exercises/{dir}/{name}.rs) | [");
        let end = format!("({page}) | {level} | {minutes} |");
        let row = rest
            .lines()
            .find(|line| line.starts_with(&link) && line.ends_with(&end));
        let row = row.unwrap_or_else(|| panic!("docs/exercises.md: no row {link}..]{end}"));
        rest = rest.split_once(row).unwrap().1;
    }
}

#[test]
fn each_page_ends_with_the_names_of_its_exercises() {
    let exercises = exercises();
    for page in super::pages() {
        let Some(file) = page.path.strip_prefix("docs/") else {
            continue;
        };
        let of_page = exercises
            .iter()
            .filter(|exercise| exercise.page.split('#').next() == Some(file));
        let names: Vec<_> = of_page.map(|exercise| &*exercise.name).collect();
        if names.is_empty() {
            continue;
        }
        let listed = page.names_in_the_first_paragraph("Exercises");
        assert_eq!(listed, names, "{}: the exercises at its end", page.path);
    }
}

impl Page {
    /// Returns the `code` in the first paragraph below a heading.
    fn names_in_the_first_paragraph(&self, heading: &str) -> Vec<String> {
        let mut names = Vec::new();
        let (mut is_heading, mut is_below) = (false, false);
        for (event, _) in self.events() {
            match event {
                Event::Start(Tag::Heading { .. }) => is_heading = true,
                Event::End(TagEnd::Heading(_)) => is_heading = false,
                Event::Text(text) if is_heading => is_below |= *text == *heading,
                Event::Code(code) if is_below => names.push(code.to_string()),
                Event::End(TagEnd::Paragraph) if is_below => break,
                _ => {}
            }
        }
        names
    }
}
