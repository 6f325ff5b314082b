//! The server: an engine behind a socket.
//!
//! Two layers of threads: tokio's workers, one a core, do the networking, and the engine's own
//! pool does the file work. Nothing here blocks and nothing here knows how an engine works.

mod accept;
mod connection;
mod shutdown;

use std::net::{self, SocketAddr};

use futures::{Future, Stream};
use log::debug;
use tokio::net::TcpListener;
use tokio::reactor::Handle;
use tokio::runtime;

use self::accept::Accept;
pub use self::shutdown::ShutdownHandle;
use self::shutdown::Signal;
use crate::engine::KvsEngine;
use crate::error::{KvsError, Result};

/// A server that has an engine and no address yet.
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
}

impl<E: KvsEngine> KvsServer<E> {
    /// Makes a server of `engine`.
    pub fn new(engine: E) -> KvsServer<E> {
        KvsServer { engine }
    }

    /// Listens on `addr` and serves until the process ends.
    ///
    /// # Errors
    ///
    /// Those of [`bind`](KvsServer::bind) and [`BoundServer::run`].
    pub fn run(self, addr: SocketAddr) -> Result<()> {
        self.bind(addr)?.run()
    }

    /// Listens on `addr`, as [`listen`] does. From now on clients can connect; they are answered
    /// once the server [runs](BoundServer::run).
    ///
    /// # Errors
    ///
    /// [`KvsError::Io`] where the address cannot be had.
    pub fn bind(self, addr: SocketAddr) -> Result<BoundServer<E>> {
        self.listen(listen(addr)?)
    }

    /// Takes over a socket that [`listen`] has made. Who opens the store between the two does not
    /// touch a data directory for nothing where the address is in use.
    ///
    /// # Errors
    ///
    /// [`KvsError::Io`] where the system refuses that.
    pub fn listen(self, listener: net::TcpListener) -> Result<BoundServer<E>> {
        let take_over = || {
            let local_addr = listener.local_addr()?;
            let listener = TcpListener::from_std(listener, &Handle::default())?;
            Ok((local_addr, listener))
        };
        let (local_addr, listener) =
            take_over().map_err(KvsError::io("listen with the runtime"))?;
        let (shutdown, signal) = shutdown::pair();
        Ok(BoundServer {
            engine: self.engine,
            listener,
            local_addr,
            shutdown,
            signal,
        })
    }
}

/// Listens on `addr`, where port 0 means any free one.
///
/// # Errors
///
/// [`KvsError::Io`] where the address cannot be had.
pub fn listen(addr: SocketAddr) -> Result<net::TcpListener> {
    net::TcpListener::bind(addr).map_err(KvsError::io(format_args!("listen on {addr}")))
}

/// A server that listens.
#[derive(Debug)]
pub struct BoundServer<E> {
    engine: E,
    listener: TcpListener,
    local_addr: SocketAddr,
    shutdown: ShutdownHandle,
    signal: Signal,
}

impl<E: KvsEngine> BoundServer<E> {
    /// The address that clients reach it at, with the port that it really has.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// What stops the server, from any thread.
    pub fn shutdown_handle(&self) -> ShutdownHandle {
        self.shutdown.clone()
    }

    /// Serves on threads of its own, and returns after a shutdown. By then every connection has had
    /// the reply to the request that was being worked on, and the server's handle to the engine is
    /// gone. It waits for peers to take that reply, however long they need.
    ///
    /// # Errors
    ///
    /// [`KvsError::Io`] where the runtime cannot be started.
    pub fn run(self) -> Result<()> {
        let mut runtime = runtime::Builder::new()
            .name_prefix("kvs-net-")
            .build()
            .map_err(KvsError::io("start the network threads"))?;
        let BoundServer { engine, signal, .. } = self;
        let serve = Accept::new(self.listener, signal.clone()).for_each(move |socket| {
            tokio::spawn(connection::serve(engine.clone(), socket, signal.clone()))
        });
        runtime.spawn(serve);
        // Idle is when the accept loop and every connection have come to their end.
        let _ = runtime.shutdown_on_idle().wait();
        debug!("stopped listening on {}", self.local_addr);
        Ok(())
    }
}
