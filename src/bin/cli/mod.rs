//! The part that the two programs share: reading arguments, and reporting errors.

mod host;
mod time;

use std::env;
use std::ffi::OsString;
use std::fmt::{self, Display};
use std::io::{self, ErrorKind, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;
use std::sync::LazyLock;

use failure::{Error, ResultExt};
use kvs::stderr;
use structopt::StructOpt;
use structopt::clap::{self, App, AppSettings};

pub(crate) use self::host::{Host, first_of};
pub(crate) use self::time::parse_time;

/// The result of a part of a program that can fail.
pub(crate) type Result<T> = std::result::Result<T, Error>;

/// The address that both programs use if none is given.
///
/// This is not a `default_value` of clap 2, which would then ignore a flag without its value.
pub(crate) const DEFAULT_ADDR: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 4000);

/// The clients, and whether each one is compiled in.
pub(crate) const CLIENTS: [(&str, bool); 7] = [
    ("anon", cfg!(feature = "anon")),
    ("awaited", cfg!(feature = "awaited")),
    ("boxed", cfg!(feature = "boxed")),
    ("explicit", cfg!(feature = "explicit")),
    ("manual", cfg!(feature = "manual")),
    ("pinned", cfg!(feature = "pinned")),
    ("blocking", true),
];

/// The flags whose values are paths. A path need not be UTF-8.
const PATH_FLAGS: [&str; 3] = ["--data-dir", "--auth-token-file", "--file"];

/// The exit code for an error.
const FAILED: u8 = 1;

/// The exit code for arguments that the program does not understand.
const USAGE: u8 = 2;

/// An error with an exit code of its own.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: u8,
    pub(crate) message: String,
}

impl Failure {
    /// Returns the error for arguments that do not fit together.
    pub(crate) fn usage(mistake: impl Display) -> Error {
        Error::from(Failure {
            code: USAGE,
            message: format!("error: {mistake} (--help shows the usage)"),
        })
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// Returns the version of the programs, and the parts that were compiled in.
pub(crate) fn version() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| {
        let engines = [
            ("kvs", cfg!(feature = "server")),
            ("tokio-fs", cfg!(feature = "server")),
            ("sled", cfg!(feature = "sled")),
            ("cluster", cfg!(feature = "cluster")),
        ];
        let names = |parts: &[(&'static str, bool)]| {
            let there = parts.iter().filter(|(_, is_there)| *is_there);
            let there: Vec<_> = there.map(|(name, _)| *name).collect();
            if there.is_empty() {
                return "none".to_owned();
            }
            there.join(", ")
        };
        let (clients, engines) = (names(&CLIENTS), names(&engines));
        let version = env!("CARGO_PKG_VERSION");
        format!("{version}\nclients: {clients}\nengines: {engines}")
    });
    &VERSION
}

/// Returns the first argument that is not UTF-8 and not a path. clap panics if such an argument is
/// read as text.
fn find_bad_text(args: &[OsString]) -> Option<&OsString> {
    let is_path_flag = |arg: &[u8]| PATH_FLAGS.iter().any(|flag| flag.as_bytes() == arg);
    let mut before: &[u8] = b"";
    let mut no_more_flags = false;
    for arg in args.iter().skip(1) {
        let bytes = arg.as_bytes();
        no_more_flags |= bytes == b"--";
        // `--flag value` or `--flag=value`.
        let name = bytes.split(|byte| *byte == b'=').next().unwrap_or(bytes);
        let is_path = !no_more_flags && (is_path_flag(before) || is_path_flag(name));
        if arg.to_str().is_none() && !is_path {
            return Some(arg);
        }
        before = bytes;
    }
    None
}

/// Runs a program: reads its arguments as `T`, and turns an error, with its contexts, into one line
/// on stderr and an exit code, which is 1 unless the error is a [`Failure`].
///
/// The exit code is the same if stderr is closed or full, or is a pipe without a reader. If the
/// reader of stdout has gone, the program ends without an error line, as other programs do.
pub(crate) fn main<T: StructOpt>(run: impl FnOnce(T) -> Result<()>) -> ExitCode {
    let _flush = stderr::FlushOnDrop;
    stderr::report_panics();
    let args: Vec<_> = env::args_os().collect();
    if let Some(argument) = find_bad_text(&args) {
        let paths = PATH_FLAGS.join(", ");
        return fail(Failure::usage(format_args!(
            "the argument {argument:?} is not UTF-8; only the paths of these need not be: {paths}"
        )));
    }
    let mut clap = T::clap().global_settings(&[
        // Without this setting, clap takes a negative number for a flag.
        AppSettings::AllowNegativeNumbers,
        // If a flag is there twice, the last one wins.
        AppSettings::AllArgsOverrideSelf,
        AppSettings::VersionlessSubcommands,
    ]);
    let result = match clap.get_matches_from_safe_borrow(args) {
        Ok(matches) => run(T::from_clap(&matches)),
        Err(answer) => match answer.kind {
            clap::ErrorKind::HelpDisplayed => print(answer.message),
            // clap has printed the version, without the end of the line.
            clap::ErrorKind::VersionDisplayed => print(""),
            // clap could not print the version, and does not say why. Printing it again tells.
            clap::ErrorKind::Io => print_version(&clap),
            _ => Err(Failure::usage(one_line(&answer.message))),
        },
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // `print` failed, because its reader has gone, as in `kvs-client … | head`.
        Err(error) if is_broken_pipe(&error) => ExitCode::from(FAILED),
        Err(error) => fail(error),
    }
}

fn is_broken_pipe(error: &Error) -> bool {
    let cause = error.find_root_cause().downcast_ref::<io::Error>();
    cause.is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

fn print_version(clap: &App<'_, '_>) -> Result<()> {
    let mut version = Vec::new();
    let _ = clap.write_version(&mut version);
    print(String::from_utf8_lossy(&version))
}

/// Prints one line on stdout, at once.
///
/// # Errors
///
/// Those of [`write`](write()).
pub(crate) fn print(line: impl Display) -> Result<()> {
    write(format!("{line}\n").as_bytes())
}

/// Writes bytes to stdout, at once.
///
/// # Errors
///
/// If stdout is full, or is a pipe whose reader has gone.
pub(crate) fn write(bytes: &[u8]) -> Result<()> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(bytes)
        .and_then(|()| stdout.flush())
        .context("cannot print the answer")?;
    Ok(())
}

/// Prints an error with its contexts, and returns its exit code.
fn fail(error: Error) -> ExitCode {
    let failure: Option<&Failure> = error.downcast_ref();
    let code = failure.map_or(FAILED, |failure| failure.code);
    stderr::print(with_contexts(&error));
    ExitCode::from(code)
}

/// Returns an error and its contexts as one line.
pub(crate) fn with_contexts(error: &Error) -> String {
    let contexts: Vec<_> = error.iter_chain().map(ToString::to_string).collect();
    contexts.join(": ")
}

/// Returns the mistake that a message of clap names, as one line.
fn one_line(message: &str) -> String {
    let mistake = message.split("\n\nUSAGE").next().unwrap_or(message);
    let words: Vec<_> = mistake.split_whitespace().collect();
    words.join(" ").trim_start_matches("error: ").to_owned()
}
