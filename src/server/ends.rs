//! The ends of the peers: the system reports when a peer has closed its half of a connection.
//!
//! The reactor of tokio 0.1 does not ask for this event (`EPOLLRDHUP`). So here is a second set of
//! sockets, and the reactor reports when that set has an event.

use std::collections::HashMap;
use std::io;
use std::net::TcpStream;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::task::AtomicTask;
use futures::{Future, Poll, try_ready};
use log::warn;
use mio06::event::Evented;
use mio06::unix::EventedFd;
use mio06::{PollOpt, Ready, Token};
use parking_lot::Mutex;
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use tokio::reactor::PollEvented2;

use super::network::Spawner;

/// The number of events that are taken from the system at once.
const AT_ONCE: usize = 64;

/// Reports the ends of peers.
#[derive(Debug, Clone)]
pub(super) struct Ends(Arc<Watched>);

/// The sockets whose peers have not closed their halves.
#[derive(Debug)]
struct Watched {
    set: OwnedFd,
    sockets: Mutex<HashMap<RawFd, Arc<Flag>>>,
}

#[derive(Debug, Default)]
struct Flag {
    is_set: AtomicBool,
    task: AtomicTask,
}

/// The end of one peer.
#[derive(Debug)]
pub(super) struct End {
    flag: Arc<Flag>,
    socket: RawFd,
    ends: Ends,
}

impl Ends {
    /// Begins to report ends, in a task that `spawner` starts.
    pub(super) fn start(spawner: &mut Spawner) -> io::Result<Ends> {
        let ends = Ends(Arc::new(Watched {
            set: epoll::create(CreateFlags::CLOEXEC)?,
            sockets: Mutex::default(),
        }));
        let report = Report {
            io: PollEvented2::new(ends.clone()),
        };
        let report = report.map_err(|error| {
            warn!("cannot learn any more when peers close their halves: {error}");
        });
        spawner.spawn(report);
        Ok(ends)
    }

    /// Watches a socket, as long as the result exists. The socket must exist longer.
    pub(super) fn watch(&self, socket: &TcpStream) -> io::Result<End> {
        let end = End {
            flag: Arc::default(),
            socket: socket.as_raw_fd(),
            ends: self.clone(),
        };
        let Watched { set, sockets } = &*self.0;
        sockets.lock().insert(end.socket, Arc::clone(&end.flag));
        let data = EventData::new_u64(end.socket as u64);
        epoll::add(set, socket, data, EventFlags::RDHUP | EventFlags::ET)?;
        Ok(end)
    }
}

impl End {
    /// Registers the current task to be woken when the end comes. An end that has come before is
    /// only found by [`has_come`](End::has_come).
    pub(super) fn register(&self) {
        self.flag.task.register();
    }

    /// Returns whether the end has come.
    pub(super) fn has_come(&self) -> bool {
        self.flag.is_set.load(Ordering::Acquire)
    }
}

impl Drop for End {
    fn drop(&mut self) {
        // The system itself forgets a socket that is closed.
        self.ends.0.sockets.lock().remove(&self.socket);
    }
}

/// Wakes the tasks of the sockets whose ends have come.
struct Report {
    io: PollEvented2<Ends>,
}

impl Future for Report {
    type Item = ();
    type Error = io::Error;

    fn poll(&mut self) -> Poll<(), io::Error> {
        let mut events = Vec::with_capacity(AT_ONCE);
        loop {
            try_ready!(self.io.poll_read_ready(Ready::readable()));
            let Watched { set, sockets } = &*self.io.get_ref().0;
            let at_once = Timespec::default();
            if epoll::wait(set, spare_capacity(&mut events), Some(&at_once))? == 0 {
                self.io.clear_read_ready(Ready::readable())?;
            }
            let sockets = sockets.lock();
            for event in events.drain(..) {
                if let Some(flag) = sockets.get(&(event.data.u64() as RawFd)) {
                    flag.is_set.store(true, Ordering::Release);
                    flag.task.notify();
                }
            }
        }
    }
}

/// The set itself has an event when one of its sockets has one.
impl Evented for Ends {
    fn register(
        &self,
        poll: &mio06::Poll,
        token: Token,
        interest: Ready,
        opts: PollOpt,
    ) -> io::Result<()> {
        EventedFd(&self.0.set.as_raw_fd()).register(poll, token, interest, opts)
    }

    fn reregister(
        &self,
        poll: &mio06::Poll,
        token: Token,
        interest: Ready,
        opts: PollOpt,
    ) -> io::Result<()> {
        EventedFd(&self.0.set.as_raw_fd()).reregister(poll, token, interest, opts)
    }

    fn deregister(&self, poll: &mio06::Poll) -> io::Result<()> {
        EventedFd(&self.0.set.as_raw_fd()).deregister(poll)
    }
}
