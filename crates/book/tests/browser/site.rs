//! A book in a folder, opened from there or from a server, and its pages and links.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;

use serde_json::json;

use super::checks::texts;
use super::webdriver::Browser;

/// The folder of the book on the server. A link to `/` would leave it.
const SERVED: &str = "/a/book/";

/// A book, and the address of its folder.
pub struct Site {
    pub folder: PathBuf,
    home: String,
}

impl Site {
    /// Returns the book in a folder, which the browser opens from there.
    pub fn in_folder(folder: &Path) -> Site {
        Site {
            folder: folder.to_owned(),
            home: format!("file://{}/", folder.display()),
        }
    }

    /// Returns the book in a folder, which the browser gets from a server until the tests end.
    pub fn on_server(folder: &Path) -> Site {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let served = folder.to_owned();
        thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                let folder = served.clone();
                // The browser also opens connections that it does not use.
                thread::spawn(move || answer(&socket, &folder));
            }
        });
        Site {
            folder: folder.to_owned(),
            home: format!("http://{address}{SERVED}"),
        }
    }

    /// Returns the address of a page.
    pub fn url(&self, page: &str) -> String {
        format!("{}{page}", self.home)
    }

    /// Returns all pages of the book, but the list of chapters, which is a part of pages.
    pub fn pages(&self) -> Vec<String> {
        let mut pages = Vec::new();
        let mut folders = vec![self.folder.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|it| it == "html") {
                    let page = path.strip_prefix(&self.folder).unwrap();
                    pages.push(page.to_str().unwrap().to_owned());
                }
            }
        }
        pages.retain(|page| !["toc.html", "404.html", "print.html"].contains(&&**page));
        pages.sort();
        pages
    }
}

/// Returns whether a page is one of `docs/`, and shows no file and no comparison.
pub fn is_of_the_course(page: &str) -> bool {
    !page.contains('/')
}

/// Answers the request for a file.
fn answer(mut socket: &TcpStream, folder: &Path) -> io::Result<()> {
    let mut head = BufReader::new(socket).lines();
    let first = head.next().transpose()?.unwrap_or_default();
    // The browser must not find its request unread when the connection ends.
    while head
        .next()
        .transpose()?
        .is_some_and(|line| !line.is_empty())
    {}
    let path = first.split(' ').nth(1).unwrap_or_default();
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let file = path.strip_prefix(SERVED).map(|path| folder.join(path));
    let kind = match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("woff2") => "font/woff2",
        _ => "application/octet-stream",
    };
    let (status, body) = match file.map(fs::read) {
        Some(Ok(body)) => ("200 OK", body),
        _ => ("404 Not Found", Vec::new()),
    };
    let len = body.len();
    write!(
        socket,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len}\r\n\
         Connection: close\r\n\r\n"
    )?;
    socket.write_all(&body)
}

/// The links of a book, each with a page that has it, and the places of each page.
#[derive(Default)]
pub struct Links {
    links: BTreeMap<String, String>,
    ids: BTreeMap<String, BTreeSet<String>>,
}

impl Links {
    /// Adds the links and the places of the page that the browser shows.
    pub fn add(&mut self, browser: &Browser, page: &str) {
        const LINKS: &str = "return {
            links: [...document.querySelectorAll('a[href]')].map((link) => link.href),
            ids: [...document.querySelectorAll('[id]')].map((it) => it.id),
        }";
        let found = browser.run(LINKS, json!([]));
        for link in texts(&found["links"]) {
            self.links.entry(link).or_insert_with(|| page.to_owned());
        }
        let ids = texts(&found["ids"]).into_iter().collect();
        self.ids.insert(page.to_owned(), ids);
    }

    /// Returns the links that lead nowhere, or out of the book to something that is no web page.
    pub fn check(&self, site: &Site) -> Vec<String> {
        let mut found = Vec::new();
        for (link, page) in &self.links {
            let (path, id) = link.split_once('#').unwrap_or((link, ""));
            let Some(to) = path.strip_prefix(&site.home) else {
                let host = link.split("://").nth(1).unwrap_or_default();
                if !link.starts_with("http") || host.starts_with(char::is_numeric) {
                    found.push(format!("{page} links to {link}, which is not in the book"));
                }
                continue;
            };
            if !site.folder.join(to).is_file() {
                found.push(format!("{page} links to {link}, which is not in the book"));
            } else if let Some(ids) = self.ids.get(to)
                && !id.is_empty()
                && !ids.contains(id)
            {
                found.push(format!("{page} links to {link}, which has no such place"));
            }
        }
        found
    }
}
