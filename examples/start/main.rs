//! Hands out a part of kvs to write yourself: code with empty bodies that compiles, and tests for
//! it. Nothing of kvs has to be deleted.
//!
//! ```sh
//! cargo run --example start              # the parts
//! cargo run --example start -- boxed     # writes tests/my_boxed/
//! cargo test --test my_boxed             # fails until you have written it
//! ```

use std::env;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

struct Part {
    name: &'static str,
    about: &'static str,
    page: &'static str,
    /// The name of the file to write, and its text.
    yours: (&'static str, &'static str),
    tests: &'static str,
}

/// In the order of the course.
const PARTS: [Part; 6] = [
    Part {
        name: "boxed",
        about: "a client with boxed futures",
        page: "docs/part-2-boxed.md",
        yours: ("client.rs", include_str!("boxed.rs")),
        tests: CLIENT_TESTS,
    },
    Part {
        name: "explicit",
        about: "the same, with the types of its chains written out",
        page: "docs/part-3-explicit.md",
        yours: ("client.rs", include_str!("explicit.rs")),
        tests: CLIENT_TESTS,
    },
    Part {
        name: "anon",
        about: "the same, with `impl Future`",
        page: "docs/part-4-anonymous.md",
        yours: ("client.rs", include_str!("anon.rs")),
        tests: CLIENT_TESTS,
    },
    Part {
        name: "manual",
        about: "the same, with futures written by hand",
        page: "docs/by-hand.md",
        yours: ("client.rs", include_str!("manual.rs")),
        tests: CLIENT_TESTS,
    },
    Part {
        name: "pool",
        about: "a thread pool that can be shared",
        page: "docs/part-5-pools.md",
        yours: ("pool.rs", include_str!("pool.rs")),
        tests: include_str!("pool_tests.rs"),
    },
    Part {
        name: "engine",
        about: "an engine of futures around a store that blocks",
        page: "docs/part-6-engine.md",
        yours: ("engine.rs", include_str!("engine.rs")),
        tests: include_str!("engine_tests.rs"),
    },
];

const CLIENT_TESTS: &str = include_str!("client_tests.rs");

fn main() -> ExitCode {
    // Not `env!`: cargo does not compile anew if the folder has moved since.
    let root = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default();
    let names: Vec<_> = env::args().skip(1).collect();
    let written = match &names[..] {
        [] => Ok(list()),
        [name] => write(name, Path::new(&root)),
        _ => Err(format!("name one part at a time\n\n{}", list())),
    };
    match written {
        Ok(next) => {
            print!("{next}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns a table of the parts.
pub fn list() -> String {
    let mut list = "The parts of kvs that you can write yourself:\n\n".to_owned();
    for Part {
        name, about, page, ..
    } in &PARTS
    {
        list += &format!("{name:9} {about}: {page}\n");
    }
    list + "\nTo start with the first:\n\ncargo run --example start -- boxed\n"
}

/// Writes the files of a part below `root`, and returns the commands to go on with.
///
/// # Errors
///
/// Fails if there is no part of that name, or if its folder exists.
pub fn write(name: &str, root: &Path) -> Result<String, String> {
    let part = PARTS.iter().find(|part| part.name == name);
    let part = part.ok_or_else(|| format!("there is no part {name:?}\n\n{}", list()))?;
    let target = format!("my_{name}");
    let dir = root.join("tests").join(&target);
    fs::create_dir(&dir).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => format!(
            "tests/{target} exists already, and may have your work in it; to begin anew, rename it \
             or remove it"
        ),
        _ => format!("cannot create {}: {error}", dir.display()),
    })?;
    let (file, text) = part.yours;
    create(dir.join(file), &text.replace("NAME", &target))?;
    create(dir.join("main.rs"), &part.tests.replace("NAME", &target))?;
    Ok(format!(
        "read  {}\nwrite tests/{target}/{file}\nrun   cargo test --test {target}\n",
        part.page
    ))
}

fn create(path: PathBuf, text: &str) -> Result<(), String> {
    File::create_new(&path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| format!("cannot write {}: {error}", path.display()))
}
