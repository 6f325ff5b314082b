//! The server: an engine behind a socket.
//!
//! There are two layers of threads: network threads, one for every two cores, and the engine's own
//! pool, whose jobs may wait for a disk. The code in this folder never blocks, and it knows engines
//! only as [`KvsEngine`].
//!
//! The files, each of which builds only on those before it:
//!
//! ```text
//!  limits, quiet_log              the budgets that connections share, and their log
//!  counters, latency              the statistics
//!  shared, refusal                the state with all of these; the reasons to refuse a request
//!  shutdown, signals              the shutdown, and the signals that start it
//!  progress, stage                the result of a step, and the stages of a connection
//!  network, ends, socket          the threads, and sockets that know when they are empty
//!  input, output, clocks, peer    a socket with its buffers and deadlines
//!  pipeline, connection           the requests in flight, and the turn that moves them
//!  accept                         the loop that gives the threads connections
//! ```

mod accept;
mod ahead;
mod clocks;
mod connection;
mod counters;
mod early;
#[cfg_attr(not(target_os = "linux"), path = "no_ends.rs")]
mod ends;
mod input;
mod latency;
mod limits;
mod network;
mod output;
mod peer;
mod pipeline;
mod progress;
mod quiet_log;
mod refusal;
mod shared;
mod shutdown;
mod signals;
mod socket;
mod stage;

use std::convert::Infallible;
use std::net::{self, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use futures::{Future, Stream};
use log::{info, warn};
use tokio::net::TcpListener;
use tokio::reactor::Handle;

use self::accept::Accept;
use self::connection::Connection;
use self::ends::Ends;
pub use self::limits::Limits;
use self::network::Network;
use self::shared::Shared;
pub use self::shutdown::ShutdownHandle;
use self::shutdown::ShutdownSignal;
pub use self::signals::Signals;
use self::socket::Socket;
use crate::engine::KvsEngine;
use crate::error::{KvsError, Result};
use crate::tcp;
use crate::token::Token;

/// The longest time that a shutdown waits before it checks again.
const STEP: Duration = Duration::from_millis(100);

/// A server with an engine, before it listens on an address.
///
/// ```no_run
/// use kvs::thread_pool::SharedQueueThreadPool;
/// use kvs::{KvStore, KvsServer};
///
/// # fn main() -> kvs::Result<()> {
/// let engine = KvStore::<SharedQueueThreadPool>::open("data", 4)?;
/// KvsServer::new(engine).run(([127, 0, 0, 1], 4000).into())
/// # }
/// ```
#[derive(Debug)]
pub struct KvsServer<E> {
    engine: E,
    limits: Limits,
    token: Option<Token>,
}

impl<E: KvsEngine> KvsServer<E> {
    /// Makes a server of `engine`, with the default [`Limits`] and without a token.
    pub fn new(engine: E) -> KvsServer<E> {
        KvsServer {
            engine,
            limits: Limits::default(),
            token: None,
        }
    }

    /// Sets the limits for its clients.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> KvsServer<E> {
        self.limits = limits;
        self
    }

    /// Makes every client show a token first.
    #[must_use]
    pub fn token(mut self, token: Token) -> KvsServer<E> {
        self.token = Some(token);
        self
    }

    /// Listens on `addr` and serves until the process ends.
    ///
    /// # Errors
    ///
    /// Those of [`bind`](KvsServer::bind) and [`BoundServer::run`].
    pub fn run(self, addr: SocketAddr) -> Result<()> {
        self.bind(addr)?.run()
    }

    /// Listens on `addr`, as [`listen`] does. From now on clients can connect. They get replies
    /// when the server [runs](BoundServer::run).
    ///
    /// # Errors
    ///
    /// Those of [`listen`](fn@listen) and of [`KvsServer::listen`].
    pub fn bind(self, addr: SocketAddr) -> Result<BoundServer<E>> {
        let listener = listen(addr, self.token.as_ref())?;
        self.listen(listener)
    }

    /// Takes over a socket that [`listen`] has made. A program that opens its store between the two
    /// leaves the data directory alone if the address is in use.
    ///
    /// # Errors
    ///
    /// [`KvsError::Io`] if the system refuses it, [`KvsError::Unprotected`] if other
    /// machines could connect without a token, and [`KvsError::BadToken`] if the token does not fit
    /// into a frame of [`Limits::frame_bytes`].
    pub fn listen(self, listener: net::TcpListener) -> Result<BoundServer<E>> {
        // The system notices that a peer has vanished. It must not give a slow peer less time than
        // `reply_time`. Each connection inherits these options from the listener.
        let lost = tcp::LOST.max(self.limits.reply_time);
        tcp::set_options(&listener, lost);
        let take_over = || {
            let local_addr = listener.local_addr()?;
            let listener = TcpListener::from_std(listener, &Handle::default())?;
            Ok((local_addr, listener))
        };
        let (local_addr, listener) =
            take_over().map_err(KvsError::io("listen with the runtime"))?;
        check_protection(local_addr, self.token.as_ref())?;
        if let Some(token) = &self.token {
            token.check_frame("it", self.limits.frame_bytes)?;
        }
        let (shutdown, signal) = shutdown::pair();
        Ok(BoundServer {
            engine: self.engine,
            shared: Arc::new(Shared::new(self.limits, self.token)),
            listener,
            local_addr,
            shutdown,
            signal,
        })
    }
}

/// Waits until the other end is dropped, and returns whether that was in time. If the process is
/// stopped meanwhile, at most one [`STEP`] of that time counts.
fn wait_for_end(other_end: &mpsc::Receiver<Infallible>, time: Duration) -> bool {
    let mut left = time;
    loop {
        let step = left.min(STEP);
        match other_end.recv_timeout(step) {
            Err(RecvTimeoutError::Disconnected) => return true,
            _ if left == step => return false,
            _ => left -= step,
        }
    }
}

/// Listens on `addr`. Port 0 means any free port. `token` is the token that clients have to show.
///
/// # Errors
///
/// [`KvsError::Io`] if the system refuses the address, and [`KvsError::Unprotected`] if other
/// machines could connect without a token.
pub fn listen(addr: SocketAddr, token: Option<&Token>) -> Result<net::TcpListener> {
    check_protection(addr, token)?;
    net::TcpListener::bind(addr).map_err(KvsError::io(format_args!("listen on {addr}")))
}

fn check_protection(addr: SocketAddr, token: Option<&Token>) -> Result<()> {
    if addr.ip().is_loopback() || token.is_some() {
        Ok(())
    } else {
        Err(KvsError::Unprotected { addr })
    }
}

/// A server that listens.
#[derive(Debug)]
pub struct BoundServer<E> {
    engine: E,
    shared: Arc<Shared>,
    listener: TcpListener,
    local_addr: SocketAddr,
    shutdown: ShutdownHandle,
    signal: ShutdownSignal,
}

impl<E: KvsEngine> BoundServer<E> {
    /// Returns the address on which the server listens, with its real port.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Returns a handle that stops the server, from any thread.
    pub fn shutdown_handle(&self) -> ShutdownHandle {
        self.shutdown.clone()
    }

    /// Serves on threads of its own, and returns after a shutdown. By then every peer has received
    /// the replies to its requests in flight, unless it took longer than [`Limits::shutdown_time`],
    /// and the server has dropped its handle to the engine.
    ///
    /// # Errors
    ///
    /// [`KvsError::Io`] if the threads cannot be started.
    pub fn run(self) -> Result<()> {
        let network = Network::start(self.shared.limits.threads.max(1))
            .map_err(KvsError::io("start the network threads"))?;
        let mut connections = network.spawner();
        let ends = Ends::start(&mut connections)
            .map_err(KvsError::io("watch for the ends of connections"))?;
        let BoundServer {
            engine,
            shared,
            signal,
            ..
        } = self;
        let shutdown_time = shared.limits.shutdown_time;
        let places = Arc::clone(&shared.places);
        // No value is ever sent. The channel closes when the accept loop and all connections end.
        let (serving, all_ended) = mpsc::channel::<Infallible>();
        let accept = Accept::new(self.listener, signal.clone()).for_each({
            let signal = signal.clone();
            move |socket| {
                shared.counters.accepted.fetch_add(1, Ordering::Relaxed);
                let socket = Socket::new(socket, &ends)
                    .map_err(|error| warn!("dropping a connection: {error}"));
                let Ok(socket) = socket else {
                    return Ok(());
                };
                let shared = Arc::clone(&shared);
                let connection = Connection::new(engine.clone(), socket, shared, signal.clone());
                let Some(connection) = connection else {
                    return Ok(());
                };
                let serving = serving.clone();
                connections.spawn(connection.then(move |end| {
                    drop(serving);
                    end
                }));
                Ok(())
            }
        });
        network.spawner().spawn(accept);
        signal.wait();
        let cut_off = if wait_for_end(&all_ended, shutdown_time) {
            0
        } else {
            places.taken()
        };
        if cut_off > 0 {
            warn!("closing connections whose peers have not received their replies in time");
        }
        // This may drop the last handle to the engine, which closes the store.
        drop(network);
        if cut_off == 0 {
            info!("stopped: all requests that were begun have been answered");
        } else {
            warn!("stopped: {cut_off} connections were cut off before they had all replies");
        }
        Ok(())
    }
}
