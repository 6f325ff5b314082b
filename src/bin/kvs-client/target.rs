//! The server that the program talks to, and how long it waits for it.

use std::env;
use std::fmt::Display;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use failure::{Error, ResultExt, format_err};
use futures::future::{self, Loop};
use futures::{Async, Future};
use kvs::Token;
use kvs::protocol::Kind;
use structopt::StructOpt;
use tokio::timer::Delay;

use crate::cli::{self, Failure, Host, Result};

/// The environment variable with the address of the server.
const ADDR_VARIABLE: &str = "KVS_ADDR";

/// How long to wait if no argument says it.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The hint for errors of a time limit.
pub const MORE_TIME: &str = "--timeout allows more time";

// This is no doc comment, because structopt would replace the one of the program with it.
#[derive(Debug, StructOpt)]
pub struct ServerOpt {
    /// The address of the server [default: the environment variable `KVS_ADDR`, or 127.0.0.1:4000]
    #[structopt(long, global = true, value_name = "HOST:PORT")]
    pub addr: Option<Host>,

    /// A file with the token that the server wants. Only its owner may read it (mode 0600 or 0400).
    /// If root owns it and the client does not run as root, a group may read it too [default: the
    /// token in the environment variable `KVS_AUTH_TOKEN`]
    #[structopt(long, global = true, value_name = "FILE", parse(from_os_str))]
    pub auth_token_file: Option<PathBuf>,

    /// The time limit for the connection, and for each reply [default: 5s]
    #[structopt(long, global = true, value_name = "TIME", parse(try_from_str = cli::parse_time))]
    pub timeout: Option<Duration>,
}

/// A server, and the token to show it.
pub struct Target {
    /// The addresses of the server, of which there is at least one.
    pub addrs: Vec<SocketAddr>,
    pub token: Option<Token>,
    pub limit: Limit,
}

impl Target {
    /// Finds the server that the arguments or the environment name.
    pub fn new(opt: &ServerOpt) -> Result<Target> {
        let host = match &opt.addr {
            Some(host) => host.clone(),
            None => from_env()?.unwrap_or_else(|| cli::DEFAULT_ADDR.into()),
        };
        let token = match &opt.auth_token_file {
            Some(file) => Some(Token::from_file(file)?),
            None => Token::from_env()?,
        };
        let limit = Limit {
            time: opt.timeout.unwrap_or(TIMEOUT),
            server: host.to_string().into(),
        };
        Ok(Target {
            addrs: limit.addrs(host)?,
            token,
            limit,
        })
    }

    /// Returns a future that connects to the first of the addresses that can be reached.
    pub fn connect<C, F>(
        &self,
        connect: C,
    ) -> impl Future<Item = F::Item, Error = Error> + Send + use<C, F>
    where
        C: Fn(SocketAddr) -> F + Send,
        F: Future<Item: Send, Error: Into<Error> + Send> + Send,
    {
        let limit = self.limit.clone();
        future::loop_fn(self.addrs.clone(), move |mut addrs| {
            let addr = addrs.remove(0);
            limit
                .wait(connect(addr), move || format!("connection to {addr}"))
                .then(|connected| match connected {
                    Ok(client) => Ok(Loop::Break(client)),
                    Err(error) if addrs.is_empty() => Err(error),
                    Err(_) => Ok(Loop::Continue(addrs)),
                })
        })
    }
}

fn from_env() -> Result<Option<Host>> {
    match env::var(ADDR_VARIABLE) {
        Ok(addr) if addr.trim().is_empty() => Ok(None),
        Ok(addr) => {
            let host = addr.trim().parse().map(Some);
            host.map_err(|error| Failure::usage(format_args!("{ADDR_VARIABLE}={addr:?}: {error}")))
        }
        Err(env::VarError::NotPresent) => Ok(None),
        Err(env::VarError::NotUnicode(_)) => {
            Err(Failure::usage(format_args!("{ADDR_VARIABLE} is not UTF-8")))
        }
    }
}

/// How long to wait for each step.
#[derive(Clone)]
pub struct Limit {
    pub time: Duration,
    server: Arc<str>,
}

impl Limit {
    /// Limits the time of a request of this kind.
    pub fn reply<F>(
        &self,
        kind: Kind,
        future: F,
    ) -> impl Future<Item = F::Item, Error = Error> + use<F>
    where
        F: Future<Error: Into<Error>>,
    {
        let server = Arc::clone(&self.server);
        self.wait(future, move || format!("reply to {kind} from {server}"))
    }

    /// Limits the time of a future that waits for `awaited`.
    ///
    /// `Timeout` of tokio makes its timer before it polls the future. Most futures of `load` are
    /// ready when they are first polled, and their timers would be a quarter of its work.
    fn wait<F, A>(
        &self,
        mut future: F,
        awaited: A,
    ) -> impl Future<Item = F::Item, Error = Error> + use<F, A>
    where
        F: Future<Error: Into<Error>>,
        A: Fn() -> String,
    {
        let limit = self.clone();
        let mut timer = None;
        future::poll_fn(move || {
            if let Async::Ready(item) = future.poll().map_err(Into::into)? {
                return Ok(Async::Ready(item));
            }
            let timer = timer.get_or_insert_with(|| Delay::new(Instant::now() + limit.time));
            match timer.poll() {
                Ok(Async::NotReady) => Ok(Async::NotReady),
                _ => Err(limit.elapsed(awaited())),
            }
        })
    }

    /// Returns the addresses of `host`. The system may wait for name servers longer than this
    /// program, so a thread asks it.
    fn addrs(&self, host: Host) -> Result<Vec<SocketAddr>> {
        let (sender, found) = mpsc::channel();
        let name = host.to_string();
        thread::spawn(move || sender.send(host.addrs()));
        match found.recv_timeout(self.time) {
            Ok(addrs) => Ok(addrs.context(format!("cannot find the address of {name}"))?),
            Err(_) => Err(self.elapsed(format_args!("address of {name}"))),
        }
    }

    fn elapsed(&self, awaited: impl Display) -> Error {
        let time = humantime::format_duration(self.time);
        format_err!("no {awaited} within {time}; {MORE_TIME}")
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, ErrorKind};

    use futures::future::Either;
    use tokio::runtime::current_thread::Runtime;

    use super::*;

    fn target(addrs: &[&str]) -> Target {
        Target {
            addrs: addrs.iter().map(|addr| addr.parse().unwrap()).collect(),
            token: None,
            limit: Limit {
                time: Duration::from_millis(50),
                server: "server".into(),
            },
        }
    }

    /// Connects to the port 3. The port 1 refuses connections, and the port 2 does not answer.
    fn connect(target: &Target) -> Result<u16> {
        let connected = target.connect(|addr| match addr.port() {
            1 => Either::A(future::err(io::Error::from(ErrorKind::ConnectionRefused))),
            2 => Either::B(Either::A(future::empty())),
            port => Either::B(Either::B(future::ok(port))),
        });
        Runtime::new().unwrap().block_on(connected)
    }

    #[test]
    fn each_address_is_tried_until_one_answers() {
        let all = target(&["[::1]:1", "127.0.0.1:2", "127.0.0.1:3", "127.0.0.1:4"]);
        assert_eq!(connect(&all).unwrap(), 3);
        let none = connect(&target(&["[::1]:1", "127.0.0.1:2"])).unwrap_err();
        let expected = "no connection to 127.0.0.1:2 within 50ms; --timeout allows more time";
        assert_eq!(none.to_string(), expected);
        let refused = connect(&target(&["127.0.0.1:2", "[::1]:1"])).unwrap_err();
        assert!(refused.downcast_ref::<io::Error>().is_some(), "{refused}");
    }
}
