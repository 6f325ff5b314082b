//! Time limits, and the effects of a request after its limit.
//!
//! `cargo run --features anon,awaited --example time_limits` starts a server of its own.
//!
//! The futures of the clients have no limit, because a limit needs a timer, and the timer belongs
//! to the runtime. `Timeout` of tokio 0.1 and `timeout` of tokio 1 put a limit around any future.
//! When the time is over, they drop the future. That does not take back a request that was sent.

use std::error;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use futures::Future;
use kvs::client::{anon, awaited};
use kvs::thread_pool::SharedQueueThreadPool;
use kvs::{KvStore, KvsError, KvsServer};
use tokio::timer::Timeout;

/// The limit for a request whose reply is late.
const SHORT: Duration = Duration::from_millis(50);

/// The limit for everything else.
const LONG: Duration = Duration::from_secs(60);

fn main() -> Result<(), Box<dyn error::Error>> {
    let dir = tempfile::tempdir()?;
    let store = KvStore::<SharedQueueThreadPool>::open(dir.path(), 2)?;
    let server = KvsServer::new(store).bind(([127, 0, 0, 1], 0).into())?;
    let addr = server.local_addr();
    thread::spawn(|| server.run());
    for line in run(addr)? {
        println!("{line}");
    }
    Ok(())
}

/// Sets a key through a peer that is late, and gets it again, on each of the two runtimes.
pub(crate) fn run(server: SocketAddr) -> Result<Vec<String>, Error> {
    let mut lines = on_tokio_0_1(&Late::start(server)?)?;
    let runtime = tokio1::runtime::Runtime::new()?;
    lines.extend(runtime.block_on(on_tokio_1(&Late::start(server)?))?);
    Ok(lines)
}

fn on_tokio_0_1(late: &Late) -> Result<Vec<String>, Error> {
    let mut runtime = tokio::runtime::Runtime::new()?;
    let connect = anon::KvsClient::connect(late.addr);
    let mut client = runtime.block_on(within(LONG, "connection", connect))?;

    let set = client.set("old".to_owned(), "stored on tokio 0.1".to_owned());
    let set = runtime.block_on(within(SHORT, "reply to the set", set));

    late.permit(2); // the set, and the get after it
    let get = client.get("old".to_owned());
    let value = runtime.block_on(within(LONG, "reply to the get", get))?;
    Ok(report("tokio 0.1", set, value))
}

async fn on_tokio_1(late: &Late) -> Result<Vec<String>, Error> {
    let connect = awaited::KvsClient::connect(late.addr);
    let mut client = awaited_within(LONG, "connection", connect).await?;

    let set = client.set("new".to_owned(), "stored on tokio 1".to_owned());
    let set = awaited_within(SHORT, "reply to the set", set).await;

    late.permit(2);
    let get = client.get("new".to_owned());
    let value = awaited_within(LONG, "reply to the get", get).await?;
    Ok(report("tokio 1", set, value))
}

/// Puts a time limit around a future of futures 0.1. A runtime of tokio 0.1 has to poll it.
fn within<F: Future<Error = KvsError>>(
    limit: Duration,
    expected: &'static str,
    future: F,
) -> impl Future<Item = F::Item, Error = Error> {
    Timeout::new(future, limit).map_err(move |error| {
        if error.is_elapsed() {
            return Error::TimedOut { expected, limit };
        }
        match error.into_inner() {
            Some(error) => Error::Store(error),
            None => Error::NoTimer,
        }
    })
}

/// Puts a time limit around a std future. A runtime of tokio 1 has to poll it.
async fn awaited_within<T>(
    limit: Duration,
    expected: &'static str,
    future: impl std::future::Future<Output = kvs::Result<T>>,
) -> Result<T, Error> {
    match tokio1::time::timeout(limit, future).await {
        Ok(result) => result.map_err(Error::Store),
        Err(_) => Err(Error::TimedOut { expected, limit }),
    }
}

#[derive(Debug)]
pub(crate) enum Error {
    /// The client or the server failed.
    Store(KvsError),
    /// The time limit was over before the future resolved.
    TimedOut {
        /// Completes "no … within 50ms".
        expected: &'static str,
        limit: Duration,
    },
    /// No runtime of tokio 0.1 polled the future, or the runtime is shutting down.
    NoTimer,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Store(error) => error.fmt(f),
            Error::TimedOut { expected, limit } => write!(f, "no {expected} within {limit:?}"),
            Error::NoTimer => f.write_str("no timer of tokio 0.1 runs here"),
        }
    }
}

impl error::Error for Error {}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Error {
        Error::Store(error.into())
    }
}

/// Describes the results of both requests. The second one got its own reply, not the late one of
/// the first.
fn report(runtime: &str, set: Result<(), Error>, value: Option<String>) -> Vec<String> {
    let set = match set {
        Ok(()) => "done in time".to_owned(),
        Err(error) => error.to_string(),
    };
    let value = match value {
        Some(value) => format!("{value:?}, so the set took effect after its limit"),
        None => "no value".to_owned(),
    };
    vec![
        format!("{runtime}: set: {set}"),
        format!("{runtime}: get: {value}"),
    ]
}

/// A peer that forwards the requests of one connection to a server, each only when it is permitted.
struct Late {
    addr: SocketAddr,
    permits: Sender<()>,
}

impl Late {
    fn start(server: SocketAddr) -> io::Result<Late> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let addr = listener.local_addr()?;
        let (permits, permitted) = mpsc::channel();
        // The thread ends with an error when the client closes the connection.
        thread::spawn(move || forward(&listener, server, &permitted));
        Ok(Late { addr, permits })
    }

    fn permit(&self, requests: usize) {
        for _ in 0..requests {
            // If the peer has ended, the next request fails and says so.
            let _ = self.permits.send(());
        }
    }
}

fn forward(listener: &TcpListener, server: SocketAddr, permitted: &Receiver<()>) -> io::Result<()> {
    let (mut client, _) = listener.accept()?;
    let mut server = TcpStream::connect(server)?;
    loop {
        let request = read_frame(&mut client)?;
        if permitted.recv().is_err() {
            return Ok(());
        }
        server.write_all(&request)?;
        client.write_all(&read_frame(&mut server)?)?;
    }
}

/// Reads a frame: its length in four bytes, and its body.
fn read_frame(socket: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut prefix = [0; 4];
    socket.read_exact(&mut prefix)?;
    let mut frame = prefix.to_vec();
    frame.resize(4 + u32::from_be_bytes(prefix) as usize, 0);
    socket.read_exact(&mut frame[4..])?;
    Ok(frame)
}
