//! The client as a program: one request, one answer.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::str::FromStr;

use futures::future;
use kvs::client::blocking::KvsClient;
use kvs::{KvsError, Result, cli};
use structopt::StructOpt;
use tokio::runtime::current_thread::Runtime;

/// A client of kvs-server.
#[derive(Debug, StructOpt)]
#[structopt(name = "kvs-client")]
struct Opt {
    #[structopt(subcommand)]
    command: Command,
}

#[derive(Debug, StructOpt)]
enum Command {
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
    /// Removes a key and its value; fails where the key is not there
    Rm {
        /// The key
        key: String,
        #[structopt(flatten)]
        server: Server,
    },
}

#[derive(Debug, StructOpt)]
struct Server {
    /// Where the server listens [default: 127.0.0.1:4000]
    #[structopt(long, value_name = "IP:PORT")]
    addr: Option<SocketAddr>,

    /// Which of the clients that were compiled in does the work
    #[structopt(long, value_name = "NAME")]
    variant: Option<Variant>,
}

fn main() -> ExitCode {
    cli::main(|opt: Opt| in_runtime(|| run(opt.command)))
}

/// Part 1 of the course: the runtime is there, and what runs on it is not asynchronous yet. For a
/// program that makes one request and ends, that is a lot of machinery for nothing; a program
/// that has more to do meanwhile is another matter.
fn in_runtime<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    let mut runtime = Runtime::new().map_err(KvsError::io("start the runtime"))?;
    runtime.block_on(future::lazy(work))
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Get { key, server } => match server.connect()?.get(key)? {
            Some(value) => cli::print(value),
            None => cli::print(KvsError::KeyNotFound),
        },
        Command::Set { key, value, server } => server.connect()?.set(key, value),
        Command::Rm { key, server } => server.connect()?.remove(key),
    }
}

impl Server {
    fn connect(&self) -> Result<KvsClient> {
        let addr = self.addr.unwrap_or(cli::DEFAULT_ADDR);
        match self.variant.unwrap_or_default() {
            Variant::Blocking => KvsClient::connect(addr),
        }
    }
}

/// The clients by name.
#[derive(Debug, Clone, Copy, Default)]
enum Variant {
    #[default]
    Blocking,
}

impl FromStr for Variant {
    type Err = String;

    fn from_str(name: &str) -> std::result::Result<Variant, String> {
        match name {
            "blocking" => Ok(Variant::Blocking),
            _ => Err(format!(
                "{name:?} is not among the clients compiled in: blocking"
            )),
        }
    }
}
