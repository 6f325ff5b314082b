//! What the two programs have in common: how they read their arguments and report errors.

#[cfg(all(target_os = "linux", target_env = "gnu"))]
use std::env;
use std::fmt::Display;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
#[cfg(all(target_os = "linux", target_env = "gnu"))]
use std::os::unix::process::CommandExt;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
use std::process::Command;
use std::process::ExitCode;

use structopt::StructOpt;
use structopt::clap::{AppSettings, ErrorKind};

use crate::error::{KvsError, Result};

/// The address that both programs use where none is given.
///
/// It is not clap's `default_value`: with one, clap 2 takes a flag without a value for no flag.
pub const DEFAULT_ADDR: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 4000);

/// Starts this program again in the same process, with an allocator that gives memory back. It has to
/// be the first call of the program.
///
/// After the first long value, glibc takes memory for such values from the heaps of its threads, and
/// a heap gives back only its end: a server keeps hundreds of megabytes after a burst. A limit from
/// which on memory comes from the system, and returns to it, prevents that. glibc reads the limit
/// only from the environment, and only when a program starts. If the environment has settings for
/// glibc already, or if the program cannot be started again, this does nothing.
pub fn restart_with_frugal_allocator() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        const SETTINGS: &str =
            "glibc.malloc.mmap_threshold=262144:glibc.malloc.trim_threshold=1048576";
        let mut args = env::args_os();
        if env::var_os("GLIBC_TUNABLES").is_none()
            && let Ok(program) = env::current_exe()
            && let Some(name) = args.next()
        {
            // It returns only if it fails.
            let _ = Command::new(program)
                .arg0(name)
                .args(args)
                .env("GLIBC_TUNABLES", SETTINGS)
                .exec();
        }
    }
}

/// Runs a program: reads its arguments as `T`, and turns an error into one line on stderr and an
/// exit code of 1.
pub fn main<T: StructOpt>(run: impl FnOnce(T) -> Result<()>) -> ExitCode {
    // Without the first setting clap panics at an argument that is not UTF-8, and without the
    // second it takes a negative number for a flag.
    let clap = T::clap()
        .global_setting(AppSettings::StrictUtf8)
        .global_setting(AppSettings::AllowNegativeNumbers);
    let result = match clap.get_matches_safe() {
        Ok(matches) => run(T::from_clap(&matches)),
        Err(answer) => match answer.kind {
            ErrorKind::HelpDisplayed => print(answer.message),
            // clap has printed that one itself, all but the end of the line.
            ErrorKind::VersionDisplayed => print(""),
            ErrorKind::MissingArgumentOrSubcommand => {
                return fail("error: the command is missing (--help shows the usage)");
            }
            _ => return fail(one_line(&answer.message)),
        },
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(error),
    }
}

/// Prints one line on stdout, at once.
///
/// # Errors
///
/// [`KvsError::Io`] where nobody reads it, as at the closed end of a pipe.
pub fn print(line: impl Display) -> Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{line}")
        .and_then(|()| stdout.flush())
        .map_err(KvsError::io("print the answer"))
}

fn fail(error: impl Display) -> ExitCode {
    eprintln!("{error}");
    ExitCode::FAILURE
}

/// clap explains a mistake over several lines, the usage among them. The mistake is enough.
fn one_line(message: &str) -> String {
    let mistake = message.split("\n\nUSAGE").next().unwrap_or(message);
    let words: Vec<_> = mistake.split_whitespace().collect();
    format!("{} (--help shows the usage)", words.join(" "))
}
