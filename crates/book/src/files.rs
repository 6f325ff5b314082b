//! Pages that show files of the repository, with a number and an anchor for each line.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use mdbook_preprocessor::book::Chapter;

use crate::links::{self, Kind};
use crate::{Error, Result};

/// The folder of these pages in the book.
const FOLDER: &str = "files";

/// The files and folders that pages link to, with the pages that do.
pub(crate) type Linked = BTreeMap<PathBuf, Vec<PathBuf>>;

/// Returns the page of the book that shows a file or a folder.
pub(crate) fn page(path: &Path) -> PathBuf {
    let name = format!("{}.md", path.to_string_lossy());
    Path::new(FOLDER).join(name)
}

/// Returns the HTML page of the book that shows a file or a folder.
pub(crate) fn html(path: &Path) -> PathBuf {
    page(path).with_extension("html")
}

/// Adds everything that the linked files need: the files in linked folders, and the files that
/// linked Markdown files link to.
///
/// # Errors
///
/// If one of them cannot be read.
pub(crate) fn complete(linked: &mut Linked, root: &Path) -> Result<()> {
    let mut waiting: Vec<_> = linked.keys().cloned().collect();
    while let Some(path) = waiting.pop() {
        let more = if root.join(&path).is_dir() {
            entries(root, &path)?
        } else if is_markdown(&path) {
            let text = read(root, &path)?;
            let links = links::find(&text).into_iter();
            let link = links.filter_map(|found| match found.kind {
                Kind::Link(link) => links::target(&path, &link),
                Kind::Code(_) => None,
            });
            link.filter(|target| !target.starts_with("docs")).collect()
        } else {
            Vec::new()
        };
        for target in more {
            if !linked.contains_key(&target) {
                linked.insert(target.clone(), Vec::new());
                waiting.push(target);
            }
        }
    }
    Ok(())
}

fn is_markdown(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "md")
}

fn read(root: &Path, path: &Path) -> Result<String> {
    let path = root.join(path);
    fs::read_to_string(&path).map_err(Error::io("read", &path))
}

/// Returns the files and folders in a folder, in the order of their names.
fn entries(root: &Path, folder: &Path) -> Result<Vec<PathBuf>> {
    let path = root.join(folder);
    let mut entries = Vec::new();
    for entry in fs::read_dir(&path).map_err(Error::io("read", &path))? {
        let name = entry.map_err(Error::io("read", &path))?.file_name();
        entries.push(folder.join(name));
    }
    entries.sort();
    Ok(entries)
}

/// Returns the chapter that shows the file or the folder `path`.
///
/// # Errors
///
/// If it cannot be read.
pub(crate) fn chapter(path: &Path, linked: &Linked, root: &Path) -> Result<Chapter> {
    let name = path.to_string_lossy();
    let mut content = format!("# {name}\n\n");
    let pages = linked.get(path).map_or(&[][..], Vec::as_slice);
    if !pages.is_empty() {
        let links: Vec<_> = pages
            .iter()
            .map(|page| {
                let name = page.with_extension("");
                let way = links::relative(&self::page(path), page);
                format!("[{}]({way})", name.display())
            })
            .collect();
        let _ = writeln!(content, "Pages about it: {}\n", links.join(", "));
    }
    if root.join(path).is_dir() {
        for entry in entries(root, path)? {
            let (way, name) = (links::relative(&page(path), &page(&entry)), entry.display());
            let _ = writeln!(content, "- [{name}]({way})");
        }
    } else if is_markdown(path) {
        content = markdown(path, &read(root, path)?, linked);
    } else {
        content += &code(path, &read(root, path)?);
    }
    let parents = vec!["The files".to_owned()];
    Ok(Chapter::new(
        &name,
        not_printed(&content),
        page(path),
        parents,
    ))
}

/// Returns a Markdown file with links that lead to pages of the book.
fn markdown(path: &Path, text: &str, linked: &Linked) -> String {
    links::change(text, |kind| {
        let Kind::Link(link) = kind else {
            return None;
        };
        let target = links::target(path, link)?;
        let to = match target.strip_prefix("docs") {
            // The list of pages is beside each page of the book.
            Ok(page) if page == Path::new("SUMMARY.md") => "introduction.md".into(),
            Ok(page) => page.to_owned(),
            Err(_) if linked.contains_key(&target) => page(&target),
            Err(_) => return None,
        };
        let anchor = links::split(link).1;
        let anchor = anchor.map(|anchor| format!("#{anchor}"));
        Some(links::relative(&page(path), &to) + &anchor.unwrap_or_default())
    })
}

/// Returns the lines of a file as HTML, beside their numbers.
fn code(path: &Path, text: &str) -> String {
    let language = match path.extension().and_then(|extension| extension.to_str()) {
        Some("rs") => "rust",
        Some("toml" | "lock") => "toml",
        Some("json") => "json",
        Some("service") => "ini",
        _ => "plaintext",
    };
    let mut numbers = String::new();
    for n in 1..=text.lines().count() {
        let _ = writeln!(numbers, "<a id=\"L{n}\" href=\"#L{n}\">{n}</a>");
    }
    // The class is not `language-rust`, of which mdBook hides the lines that begin with `# `.
    // HTML that begins with `<pre` may have blank lines in Markdown.
    format!(
        "<div class=\"file\">\n\n<pre class=\"numbers\">{numbers}</pre>\n\n\
         <pre><code class=\"lang-{language}\">{}</code></pre>\n\n</div>\n",
        escaped(text)
    )
}

/// Returns the content of a page that is left out where the whole book is printed.
pub(crate) fn not_printed(content: &str) -> String {
    format!("<div class=\"not-printed\">\n\n{content}\n\n</div>\n")
}

/// Returns text as HTML.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root;

    #[test]
    fn a_file_is_shown_as_it_is_with_an_anchor_for_each_line() {
        let html = code(Path::new("a.rs"), "// <T>\n\n# not hidden\n");
        assert!(html.contains("// &lt;T&gt;\n\n# not hidden\n</code>"));
        for n in 1..=3 {
            assert!(html.contains(&format!("id=\"L{n}\"")));
        }
        assert!(!html.contains("id=\"L4\""));
    }

    #[test]
    fn the_files_of_a_linked_folder_have_pages_too() {
        let mut linked = Linked::from([(PathBuf::from("variants/streams"), Vec::new())]);
        complete(&mut linked, &root()).unwrap();
        assert!(linked.contains_key(Path::new("variants/streams/anon.rs")));
    }

    #[test]
    fn the_links_of_a_markdown_file_lead_to_pages_of_the_book() {
        let linked = Linked::from([(PathBuf::from("src/lib.rs"), Vec::new())]);
        let text = "[a](docs/pin.md#x) [b](src/lib.rs) [c](no/page)";
        let changed = markdown(Path::new("README.md"), text, &linked);
        assert_eq!(
            changed,
            "[a](../pin.md#x) [b](../files/src/lib.rs.md) [c](no/page)"
        );
    }
}
