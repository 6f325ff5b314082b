//! The client as a program.

mod answer;
#[path = "../cli/mod.rs"]
mod cli;
mod load;
mod opt;
mod scan;
mod session;
mod stats;
mod target;
mod variants;

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;
use std::process::ExitCode;

use failure::{Error, ResultExt, format_err};
use kvs::protocol::{ErrorCode, MAX_FRAME_LEN};
use kvs::{ConnectionError, KvsError, TOKEN_VARIABLE};
use structopt::StructOpt;
use structopt::clap::Shell;

use crate::answer::{Answer, Format};
use crate::cli::{Failure, Result};
use crate::opt::{Args, COMMANDS, ClientOpt, CommandOpt, Opt};
use crate::session::Session;
use crate::target::{MORE_TIME, Target};
use crate::variants::Command;

fn main() -> ExitCode {
    cli::main(|Args(opt)| run(opt).map_err(with_hint))
}

fn run(opt: Opt) -> Result<()> {
    let target = || Target::new(&opt.server);
    let session = || Session::open(target()?);
    let execute = |client: ClientOpt, command| {
        let variant = client.variant.unwrap_or_default();
        variant.run(target()?, command)
    };
    match opt.command {
        None => Err(Failure::usage(format_args!(
            "the command is missing; the commands are {COMMANDS}"
        ))),
        Some(CommandOpt::Unknown(args)) => Err(unknown(args.first().map_or("", String::as_str))),
        Some(CommandOpt::Get {
            keys,
            raw,
            json,
            missing,
            client,
        }) => {
            if raw && keys.len() > 1 {
                return Err(Failure::usage("--raw prints the value of one key only"));
            }
            let answer = Answer::new(Format::new(raw, json), missing.exit_code || raw);
            let command = Command::Get { keys, answer };
            execute(client, command)
        }
        Some(CommandOpt::Set {
            key,
            value,
            file,
            client,
        }) => {
            let value = value_to_set(value, file.as_deref())?;
            let command = Command::Set { key, value };
            execute(client, command)
        }
        Some(CommandOpt::Rm {
            key,
            missing,
            client,
        }) => {
            let command = Command::Rm { key: key.clone() };
            execute(client, command).map_err(|error| match error.downcast_ref() {
                Some(KvsError::KeyNotFound) if missing.exit_code => answer::missing(&[key]),
                _ => error,
            })
        }
        Some(CommandOpt::Keys { prefix, json }) => scan::keys(&session()?, prefix.prefix, json),
        Some(CommandOpt::Dump { prefix }) => scan::dump(&session()?, prefix.prefix),
        Some(CommandOpt::Load { file, from_line }) => {
            load::load(&session()?, file.as_deref(), from_line.unwrap_or(1))
        }
        Some(CommandOpt::Stats { json, prometheus }) => {
            stats::print(&session()?, &stats::Format::new(json, prometheus))
        }
        Some(CommandOpt::Completions { shell }) => print_completions(shell),
    }
}

/// Returns the error for a command that clap does not know.
fn unknown(name: &str) -> Error {
    if COMMANDS.split(", ").any(|command| command == name) {
        return Failure::usage(format_args!("the command {name} has to stand before --"));
    }
    Failure::usage(format_args!(
        "there is no command {name:?}; the commands are {COMMANDS}"
    ))
}

/// Adds the arguments that help to an error of the library, which does not know them.
fn with_hint(error: Error) -> Error {
    let hint = match error.downcast_ref() {
        Some(
            KvsError::Server {
                code: ErrorCode::Unauthorized,
                ..
            }
            | KvsError::Connection {
                cause:
                    ConnectionError::Dismissed {
                        code: ErrorCode::Unauthorized,
                        ..
                    },
                ..
            },
        ) => format!("give it with --auth-token-file or {TOKEN_VARIABLE}"),
        // Only the blocking client has limits of its own.
        Some(KvsError::Connection {
            cause: ConnectionError::TimedOut { .. },
            ..
        }) => MORE_TIME.to_owned(),
        Some(KvsError::Connect { source, .. }) if source.kind() == ErrorKind::TimedOut => {
            MORE_TIME.to_owned()
        }
        _ => return error,
    };
    format_err!("{error}; {hint}")
}

/// Returns the value of `set`, from its argument, from stdin or from a file.
fn value_to_set(value: Option<String>, file: Option<&Path>) -> Result<String> {
    match (value, file) {
        (_, Some(path)) => {
            let file = File::open(path).context(format!("cannot open {path:?}"))?;
            read_value(file, &format!("{path:?}"))
        }
        (Some(value), None) if value == "-" => read_value(io::stdin(), "stdin"),
        (value, None) => Ok(value.unwrap_or_default()),
    }
}

/// Reads a value up to the end of `input`, which `name` names in errors.
fn read_value(input: impl Read, name: &str) -> Result<String> {
    let mut value = Vec::new();
    // One byte more than a request can have. An input may have no end.
    let read = input.take(MAX_FRAME_LEN as u64 + 1).read_to_end(&mut value);
    let len = read.context(format!("cannot read {name}"))?;
    if len > MAX_FRAME_LEN {
        return Err(format_err!(
            "{name} is longer than a value can be, which is {MAX_FRAME_LEN} bytes"
        ));
    }
    String::from_utf8(value).map_err(|_| format_err!("{name} is not UTF-8, as values have to be"))
}

fn print_completions(shell: Shell) -> Result<()> {
    let mut script = Vec::new();
    Opt::clap().gen_completions_to("kvs-client", shell, &mut script);
    // clap 2 makes a script for bash that sets the one name and then compares it with the other.
    let script = String::from_utf8_lossy(&script).replace("kvs__client__", "kvs-client__");
    cli::write(script.as_bytes())
}
