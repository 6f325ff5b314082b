//! The pages on their way into the book.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use mdbook_preprocessor::book::{Book, BookItem, Chapter, SectionNumber};
use mdbook_preprocessor::errors;
use mdbook_preprocessor::{Preprocessor, PreprocessorContext};

use crate::files::{self, Linked};
use crate::links::{self, Kind};
use crate::{Error, Result, diff, timeline};

/// The page that has the player in the book.
const TIMELINE: &str = "timeline.md";

/// The preprocessor of the book.
#[derive(Debug, Clone, Copy)]
pub struct Pages;

impl Preprocessor for Pages {
    /// The name in `book.toml`.
    fn name(&self) -> &'static str {
        "kvs"
    }

    fn run(&self, context: &PreprocessorContext, book: Book) -> errors::Result<Book> {
        // The kinds of errors do not matter here: a person reads the message.
        run(&context.root, book).map_err(|error| errors::Error::msg(error.0))
    }
}

fn run(root: &Path, mut book: Book) -> Result<Book> {
    let mut linked = linked(&book);
    for file in ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"] {
        linked.entry(file.into()).or_default();
    }
    for file in timeline::files(root)? {
        linked.entry(file).or_default();
    }
    files::complete(&mut linked, root)?;

    let mut failed = None;
    book.for_each_chapter_mut(|chapter| {
        if let Err(error) = change(chapter, &linked, root) {
            failed.get_or_insert(error);
        }
    });
    if let Some(error) = failed {
        return Err(error);
    }
    let chapters = book.chapters().filter(|chapter| chapter.number.is_some());
    let next = chapters.count() as u32 + 1;
    book.push_item(BookItem::PartTitle("The code".to_owned()));
    book.push_item(numbered(differences(root)?, next));
    book.push_item(numbered(all_files(&linked, root)?, next + 1));
    Ok(book)
}

/// Returns the files and folders outside of `docs/` that the pages link to.
fn linked(book: &Book) -> Linked {
    let mut linked = Linked::new();
    for chapter in book.chapters() {
        let Some(path) = &chapter.path else {
            continue;
        };
        let page = Path::new("docs").join(path);
        let shown = sources(&chapter.content).map(|(_, file)| PathBuf::from(file));
        let links = links::find(&chapter.content).into_iter();
        let links = links.filter_map(|found| match found.kind {
            Kind::Link(link) => links::target(&page, &link),
            Kind::Code(_) => None,
        });
        let targets: BTreeSet<_> = links.chain(shown).collect();
        for target in targets {
            if !target.starts_with("docs") {
                linked.entry(target).or_default().push(path.clone());
            }
        }
    }
    linked
}

/// Changes a page for the book.
fn change(chapter: &mut Chapter, linked: &Linked, root: &Path) -> Result<()> {
    let Some(path) = &chapter.path else {
        return Ok(());
    };
    let page = Path::new("docs").join(path);
    let content = links::change(&chapter.content, |kind| match kind {
        Kind::Link(link) => {
            let target = links::target(&page, link)?;
            let anchor = links::split(link).1;
            let anchor = anchor
                .map(|anchor| format!("#{anchor}"))
                .unwrap_or_default();
            linked
                .contains_key(&target)
                .then(|| links::relative(path, &files::page(&target)) + &anchor)
        }
        Kind::Code(command) => {
            let pair = diff::Pair::of_command(command)?;
            Some(links::relative(path, &pair.page()))
        }
    });
    chapter.content = name_errors(&name_sources(&content, path, root)?);
    if path == Path::new(TIMELINE) {
        chapter.content = timeline::put_into(&chapter.content, root)?;
    }
    Ok(())
}

/// Returns the comments of a page that name the file of the next block, each with its place.
fn sources(content: &str) -> impl Iterator<Item = (usize, &str)> {
    const BEFORE: &str = "<!-- from ";
    content.match_indices(BEFORE).filter_map(|(at, _)| {
        let (file, _) = content[at + BEFORE.len()..].split_once(" -->")?;
        Some((at, file))
    })
}

/// Puts the name of its file above each block that shows lines of a file, as a link to them.
fn name_sources(content: &str, path: &Path, root: &Path) -> Result<String> {
    let mut out = String::new();
    let mut end = 0;
    for (at, file) in sources(content) {
        let block = content[at..]
            .lines()
            .skip_while(|line| !line.trim().starts_with("```"));
        let shown: Vec<_> = block
            .skip(1)
            .take_while(|line| !line.trim().starts_with("```"))
            .collect();
        let line = first_line(&shown, &root.join(file))?;
        let way = links::relative(path, &files::html(Path::new(file)));
        out += &content[end..at];
        let indent = content[..at].rsplit('\n').next().unwrap_or_default();
        out += &format!("<p class=\"from\"><a href=\"{way}#L{line}\">{file}</a></p>\n\n{indent}");
        end = at;
    }
    Ok(out + &content[end..])
}

/// Puts the code of its error above each block that does not compile. So a search finds it.
fn name_errors(content: &str) -> String {
    let mut out = String::new();
    for line in content.split_inclusive('\n') {
        let info = line.trim_start().strip_prefix("```rust,compile_fail,");
        if let Some(codes) = info {
            let indent = &line[..line.len() - line.trim_start().len()];
            let links = codes.trim_end().split(',').map(|code| {
                format!("<a href=\"https://doc.rust-lang.org/error_codes/{code}.html\">{code}</a>")
            });
            let links = links.collect::<Vec<_>>().join(", ");
            out += &format!("{indent}<p class=\"fails\">does not compile: {links}</p>\n\n");
        }
        out += line;
    }
    out
}

/// Returns the number of the line where a file has the first two of the lines that are shown.
fn first_line(shown: &[&str], file: &Path) -> Result<usize> {
    let text = fs::read_to_string(file).map_err(Error::io("read", file))?;
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    let shown = shown.iter().map(|line| line.trim());
    let shown: Vec<_> = shown.filter(|line| !line.is_empty()).take(2).collect();
    let starts = |n: &usize| {
        shown
            .iter()
            .zip(&lines[*n..])
            .all(|(shown, line)| shown == line)
    };
    let begins = |n: &usize| shown.first() == Some(&lines[*n]);
    let all = 0..lines.len();
    let line = all
        .clone()
        .find(starts)
        .or_else(|| all.clone().find(begins));
    Ok(line.map_or(1, |n| n + 1))
}

/// Numbers a chapter and those below it, which are folded in the list of chapters.
fn numbered(mut chapter: Chapter, n: u32) -> Chapter {
    chapter.number = Some(SectionNumber::new([n]));
    for (below, item) in (1..).zip(&mut chapter.sub_items) {
        if let BookItem::Chapter(chapter) = item {
            chapter.number = Some(SectionNumber::new([n, below]));
        }
    }
    chapter
}

/// Returns the chapter with all comparisons of two clients.
fn differences(root: &Path) -> Result<Chapter> {
    let mut content = "# Side by side, line by line\n\nEach page shows two clients as `diff` \
                       compares them.\n\n"
        .to_owned();
    let mut pages = Vec::new();
    for pair in diff::pairs() {
        let chapter = pair.chapter(root)?;
        content += &format!("- [{}]({})\n", chapter.name, pair.page().display());
        pages.push(BookItem::Chapter(chapter));
    }
    let mut chapter = Chapter::new(
        "Side by side, line by line",
        content,
        "differences.md",
        vec![],
    );
    chapter.sub_items = pages;
    Ok(chapter)
}

/// Returns the chapter with all files that the pages link to.
fn all_files(linked: &Linked, root: &Path) -> Result<Chapter> {
    let mut content = "# The files\n\nThe files that the pages of this book name.\n\n".to_owned();
    let mut pages = Vec::new();
    for path in linked.keys() {
        let page = files::page(path);
        content += &format!("- [{}]({})\n", path.display(), page.display());
        pages.push(BookItem::Chapter(files::chapter(path, linked, root)?));
    }
    let content = files::not_printed(&content);
    let mut chapter = Chapter::new("The files", content, "files.md", vec![]);
    chapter.sub_items = pages;
    Ok(chapter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root;

    #[test]
    fn a_block_of_a_file_has_a_link_to_its_first_line() {
        let page = "Text.\n\n<!-- from LICENSE-MIT -->\n```text\n\nCopyright\n```\n";
        let named = name_sources(page, Path::new("a.md"), &root()).unwrap();
        let link = "<a href=\"files/LICENSE-MIT.html#L";
        assert!(named.contains(link), "{named}");
        assert!(named.ends_with(&page["Text.\n\n".len()..]));
    }

    #[test]
    fn a_block_that_does_not_compile_has_the_code_of_its_error() {
        let named = name_errors("```rust,compile_fail,E0277,E0308\nx\n```\n```rust\ny\n```\n");
        assert!(
            named.starts_with("<p class=\"fails\">does not compile: <a "),
            "{named}"
        );
        for code in ["E0277", "E0308"] {
            assert_eq!(
                named.matches(&format!("{code}.html\">{code}</a>")).count(),
                1
            );
        }
    }

    #[test]
    fn the_pages_of_the_book_know_their_files() {
        let chapter = Chapter::new(
            "a",
            "[x](../src/lib.rs) [y](pin.md)".to_owned(),
            "a.md",
            vec![],
        );
        let linked = linked(&Book::new_with_items(vec![chapter.into()]));
        assert_eq!(
            linked,
            Linked::from([("src/lib.rs".into(), vec!["a.md".into()])])
        );
    }
}
