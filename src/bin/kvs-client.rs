//! The client as a program: one request, one answer.

mod cli;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use failure::{Error, format_err};
use futures::Future;
use futures::future::{self, Either};
use kvs::client::{Client, blocking};
use kvs::protocol::ErrorCode;
use kvs::{ConnectionError, KvsError, Result, TOKEN_VARIABLE, Token};
use structopt::StructOpt;
use tokio::runtime::current_thread::Runtime;

/// A client of kvs-server.
#[derive(Debug, StructOpt)]
#[structopt(name = "kvs-client")]
enum Opt {
    #[structopt(flatten)]
    Data(Data),
    /// Prints the statistics of the server
    Stats {
        /// Prints JSON
        #[structopt(long)]
        json: bool,
        #[structopt(flatten)]
        target: TargetOpt,
    },
}

// The commands that every variant has. This is no doc comment, because structopt would replace the
// one of the program with it.
#[derive(Debug, StructOpt)]
enum Data {
    /// Prints the value of a key, or `Key not found`
    Get {
        /// The key
        key: String,
        #[structopt(flatten)]
        server: Server,
    },
    /// Stores a value under a key
    Set {
        /// The key
        key: String,
        /// The value
        value: String,
        #[structopt(flatten)]
        server: Server,
    },
    /// Removes a key and its value; fails if the key does not exist
    Rm {
        /// The key
        key: String,
        #[structopt(flatten)]
        server: Server,
    },
}

#[derive(Debug, StructOpt)]
struct Server {
    #[structopt(flatten)]
    target: TargetOpt,

    /// The variant of the client [default: the first of anon, awaited, boxed, explicit, manual,
    /// pinned, blocking that is compiled in]
    #[structopt(long, value_name = "NAME")]
    variant: Option<Variant>,
}

#[derive(Debug, StructOpt)]
struct TargetOpt {
    /// The address of the server [default: 127.0.0.1:4000]
    #[structopt(long, value_name = "IP:PORT")]
    addr: Option<SocketAddr>,

    /// A file with the token that the server wants. Only its owner may read it (mode 0600 or 0400).
    /// If root owns it and the client does not run as root, a group may read it too [default: the
    /// token in the environment variable `KVS_AUTH_TOKEN`]
    #[structopt(long, value_name = "FILE", parse(from_os_str))]
    auth_token_file: Option<PathBuf>,
}

/// A server, and the token to show it.
struct Target {
    addr: SocketAddr,
    token: Option<Token>,
}

impl TargetOpt {
    fn target(&self) -> Result<Target> {
        Ok(Target {
            addr: self.addr.unwrap_or(cli::DEFAULT_ADDR),
            token: match &self.auth_token_file {
                Some(file) => Some(Token::from_file(file)?),
                None => Token::from_env()?,
            },
        })
    }
}

fn main() -> ExitCode {
    cli::main(|opt| run(opt).map_err(with_hint))
}

fn run(opt: Opt) -> cli::Result<()> {
    match opt {
        Opt::Stats { json, target } => print_stats(&target.target()?, json),
        Opt::Data(command) => {
            let (Data::Get { server, .. } | Data::Set { server, .. } | Data::Rm { server, .. }) =
                &command;
            let target = server.target.target()?;
            let Variant(_, run) = server.variant.unwrap_or(VARIANTS[0]);
            run(target, command)?.map_or(Ok(()), cli::print)
        }
    }
}

/// Adds the arguments that help to an error of the library, which does not know them.
fn with_hint(error: Error) -> Error {
    let wants_token = matches!(
        error.downcast_ref(),
        Some(
            KvsError::Server {
                code: ErrorCode::Unauthorized,
                ..
            } | KvsError::Connection {
                cause: ConnectionError::Dismissed {
                    code: ErrorCode::Unauthorized,
                    ..
                },
                ..
            }
        )
    );
    if wants_token {
        format_err!("{error}; give it with --auth-token-file or {TOKEN_VARIABLE}")
    } else {
        error
    }
}

/// The name of a client, and the function that executes a command with it. The function returns the
/// line to print.
#[derive(Clone, Copy)]
struct Variant(&'static str, fn(Target, Data) -> Result<Option<String>>);

/// The clients that are compiled in. The first is the default.
const VARIANTS: &[Variant] = &[
    #[cfg(feature = "anon")]
    Variant("anon", run_with::<kvs::client::anon::KvsClient>),
    #[cfg(feature = "awaited")]
    Variant("awaited", run_with::<kvs::client::awaited::KvsClient>),
    #[cfg(feature = "boxed")]
    Variant("boxed", run_with::<kvs::client::boxed::KvsClient>),
    #[cfg(feature = "explicit")]
    Variant("explicit", run_with::<kvs::client::explicit::KvsClient>),
    #[cfg(feature = "manual")]
    Variant("manual", run_with::<kvs::client::manual::KvsClient>),
    #[cfg(feature = "pinned")]
    Variant("pinned", run_with::<kvs::client::pinned::KvsClient>),
    Variant("blocking", run_blocking),
];

impl FromStr for Variant {
    type Err = Error;

    fn from_str(name: &str) -> cli::Result<Variant> {
        let found = VARIANTS.iter().find(|variant| variant.0 == name);
        found.copied().ok_or_else(|| {
            let there: Vec<_> = VARIANTS.iter().map(|variant| variant.0).collect();
            let there = there.join(", ");
            match name {
                "anon" | "awaited" | "boxed" | "explicit" | "manual" | "pinned" => format_err!(
                    "{name} is not compiled in, only {there}; build kvs-client with its feature, \
                     as in `cargo build --features {name}`"
                ),
                _ => format_err!("no client is called {name:?}; compiled in: {there}"),
            }
        })
    }
}

impl fmt::Debug for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Executes a command with a client that has futures. For one request, this needs a lot of machinery.
/// It pays off in a program that has other work while it waits.
#[allow(
    dead_code,
    reason = "without a feature there is only the blocking client"
)]
fn run_with<C: Client>(target: Target, command: Data) -> Result<Option<String>> {
    let Target { addr, token } = target;
    let client = C::connect(addr).and_then(|mut client| match token {
        Some(token) => Either::A(client.auth(&token).map(|()| client)),
        None => Either::B(future::ok(client)),
    });
    let answer = client.and_then(|mut client| match command {
        Data::Get { key, .. } => Either::A(client.get(key).map(line)),
        Data::Set { key, value, .. } => Either::B(Either::A(client.set(key, value).map(|()| None))),
        Data::Rm { key, .. } => Either::B(Either::B(client.remove(key).map(|()| None))),
    });
    let mut runtime = new_runtime()?;
    let answer = runtime.block_on(answer);
    // The last handle is dropped, so the task of the connection ends.
    let _ = runtime.run();
    answer
}

/// Executes a command with the client of Part 1 of the course. It runs on a runtime, but its code is
/// not asynchronous yet.
fn run_blocking(target: Target, command: Data) -> Result<Option<String>> {
    let answer = future::lazy(|| {
        let mut client = connect(&target)?;
        match command {
            Data::Get { key, .. } => client.get(key).map(line),
            Data::Set { key, value, .. } => client.set(key, value).map(|()| None),
            Data::Rm { key, .. } => client.remove(key).map(|()| None),
        }
    });
    new_runtime()?.block_on(answer)
}

fn connect(target: &Target) -> Result<blocking::KvsClient> {
    let mut client = blocking::KvsClient::connect(target.addr)?;
    if let Some(token) = &target.token {
        client.auth(token)?;
    }
    Ok(client)
}

fn print_stats(target: &Target, json: bool) -> cli::Result<()> {
    let stats = connect(target)?.stats()?;
    if json {
        cli::print(serde_json::to_string_pretty(&stats)?)
    } else {
        cli::print(stats)
    }
}

/// Returns the line that `get` prints.
fn line(value: Option<String>) -> Option<String> {
    Some(value.unwrap_or_else(|| KvsError::KeyNotFound.to_string()))
}

fn new_runtime() -> Result<Runtime> {
    Runtime::new().map_err(KvsError::io("start the runtime"))
}
