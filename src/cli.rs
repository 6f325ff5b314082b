//! What the two programs have in common: how they read their arguments and report errors.

use std::fmt::Display;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use structopt::StructOpt;
use structopt::clap::ErrorKind;

use crate::error::{KvsError, Result};

/// The address that both programs use where none is given.
///
/// It is not clap's `default_value`: with one, clap 2 takes a flag without a value for no flag.
pub const DEFAULT_ADDR: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 4000);

/// Runs a program: reads its arguments as `T`, and turns an error into one line on stderr and an
/// exit code of 1.
pub fn main<T: StructOpt>(run: impl FnOnce(T) -> Result<()>) -> ExitCode {
    let args = match T::from_args_safe() {
        Ok(args) => args,
        Err(answer) => match answer.kind {
            ErrorKind::HelpDisplayed | ErrorKind::VersionDisplayed => {
                println!("{}", answer.message);
                return ExitCode::SUCCESS;
            }
            _ => return fail(one_line(&answer.message)),
        },
    };
    match run(args) {
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
