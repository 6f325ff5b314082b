//! `cargo run --package kvs-book` makes a book of the pages in `docs/`, in `target/book`.

use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::{env, fs};

use kvs_book::timeline::{self, STILLS};
use kvs_book::{Error, Pages, Result, root};
use mdbook_preprocessor::Preprocessor;

const HELP: &str = "\
Makes a book of the pages in docs/, in target/book.

    cargo run --package kvs-book             makes the book and says where it is
    cargo run --package kvs-book -- --open   opens it, too
    cargo run --package kvs-book -- stills   draws the recordings for the pages

`mdbook build` makes the same book, and calls this program for each page.";

fn main() -> ExitCode {
    let args: Vec<_> = env::args().skip(1).collect();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let done = match args[..] {
        [] => make(false),
        ["--open"] => make(true),
        ["stills"] => draw_stills(),
        ["preprocess"] => preprocess(),
        // mdbook asks whether it should send its pages. All renderers get them.
        ["preprocess", "supports", _] => Ok(()),
        ["--help" | "-h"] => {
            println!("{HELP}");
            Ok(())
        }
        _ => {
            eprintln!("{HELP}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn make(is_opened: bool) -> Result<()> {
    let first = kvs_book::build(&root().join("target/book"))?;
    println!("{}", first.display());
    if is_opened {
        opener::open(&first)
            .map_err(|error| Error(format!("cannot open {}: {error}", first.display())))?;
    }
    Ok(())
}

/// Reads the pages of a book, and writes them as the book shows them.
fn preprocess() -> Result<()> {
    let failed = |error| Error(format!("cannot read the pages from mdbook: {error:#}"));
    let (context, book) = mdbook_preprocessor::parse_input(io::stdin()).map_err(failed)?;
    let book = Pages.run(&context, book);
    let book = book.map_err(|error| Error(format!("{error:#}")))?;
    serde_json::to_writer(io::stdout(), &book)
        .map_err(|error| Error(format!("cannot write the pages to mdbook: {error}")))
}

fn draw_stills() -> Result<()> {
    let write = |file: &Path, text: &str| {
        fs::write(file, text)
            .map_err(|error| Error(format!("cannot write {}: {error}", file.display())))
    };
    for (name, svg) in timeline::stills(&root())? {
        let file = root().join(STILLS).join(name).with_extension("svg");
        write(&file, &svg)?;
        println!("{}", file.display());
    }
    Ok(())
}
