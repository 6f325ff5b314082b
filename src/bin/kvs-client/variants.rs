//! The clients that are compiled in, and how each of them runs a command.

use std::fmt;
use std::str::FromStr;

use failure::{Error, format_err};
use futures::future::{self, Either};
use futures::{Future, Stream, stream};
use kvs::KvsError;
use kvs::client::{Client, blocking};
use kvs::protocol::Kind;
use tokio::runtime::current_thread::Runtime;

use crate::answer::Answer;
use crate::cli::{self, Result};
use crate::target::Target;

/// A command that every client can run.
pub enum Command {
    Get { keys: Vec<String>, answer: Answer },
    Set { key: String, value: String },
    Rm { key: String },
}

/// The name of a client, and the function that executes a command with it.
#[derive(Clone, Copy)]
pub struct Variant(&'static str, fn(Target, Command) -> Result<()>);

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

impl Variant {
    pub fn run(self, target: Target, command: Command) -> Result<()> {
        self.1(target, command)
    }
}

impl Default for Variant {
    fn default() -> Variant {
        VARIANTS[0]
    }
}

impl FromStr for Variant {
    type Err = Error;

    fn from_str(name: &str) -> Result<Variant> {
        let found = VARIANTS.iter().find(|variant| variant.0 == name);
        found.copied().ok_or_else(|| {
            let there: Vec<_> = VARIANTS.iter().map(|variant| variant.0).collect();
            let there = there.join(", ");
            if cli::CLIENTS.iter().any(|(client, _)| *client == name) {
                format_err!(
                    "{name} is not compiled in, only {there}; build kvs-client with its feature, \
                     as in `cargo build --features {name}`"
                )
            } else {
                format_err!("no client is called {name:?}; compiled in: {there}")
            }
        })
    }
}

impl fmt::Debug for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Executes a command with a client that has futures. For one request, this needs a lot of
/// machinery. It pays off in a program that has other work while it waits.
#[allow(
    dead_code,
    reason = "without a feature there is only the blocking client"
)]
fn run_with<C: Client>(target: Target, command: Command) -> Result<()> {
    let client = target.connect(C::connect);
    let Target { token, limit, .. } = target;
    let auth_limit = limit.clone();
    let client = client.and_then(move |mut client| match token {
        Some(token) => {
            let auth = auth_limit.reply(Kind::Auth, client.auth(&token));
            Either::A(auth.map(|()| client))
        }
        None => Either::B(future::ok(client)),
    });
    let done = client.and_then(move |mut client| match command {
        Command::Get { keys, answer } => {
            let values = stream::iter_ok(keys).and_then(move |key| {
                let value = limit.reply(Kind::Get, client.get(key.clone()));
                value.map(|value| (key, value))
            });
            let answer = values.fold(answer, |answer, (key, value)| answer.print(key, value));
            Either::A(answer.and_then(Answer::end))
        }
        Command::Set { key, value } => {
            Either::B(Either::A(limit.reply(Kind::Set, client.set(key, value))))
        }
        Command::Rm { key } => Either::B(Either::B(limit.reply(Kind::Remove, client.remove(key)))),
    });
    let mut runtime = new_runtime()?;
    let done = runtime.block_on(done);
    // The last handle is dropped, so the task of the connection ends.
    let _ = runtime.run();
    done
}

/// Executes a command with the client of Part 1 of the course. It runs on a runtime, but its code
/// is not asynchronous yet.
fn run_blocking(target: Target, command: Command) -> Result<()> {
    let done = future::lazy(|| {
        let mut client = connect(&target)?;
        match command {
            Command::Get { keys, answer } => {
                let answer = keys.into_iter().try_fold(answer, |answer, key| {
                    let value = client.get(key.clone())?;
                    answer.print(key, value)
                })?;
                answer.end()
            }
            Command::Set { key, value } => Ok(client.set(key, value)?),
            Command::Rm { key } => Ok(client.remove(key)?),
        }
    });
    new_runtime()?.block_on(done)
}

/// Connects to the first of the addresses that can be reached.
fn connect(target: &Target) -> Result<blocking::KvsClient> {
    let limit = target.limit.time;
    let connect = |addr| blocking::KvsClient::connect_timeout(addr, limit);
    let mut client = cli::first_of(&target.addrs, connect)?;
    client.set_timeout(Some(limit));
    if let Some(token) = &target.token {
        client.auth(token)?;
    }
    Ok(client)
}

fn new_runtime() -> Result<Runtime> {
    Ok(Runtime::new().map_err(KvsError::io("start the runtime"))?)
}
