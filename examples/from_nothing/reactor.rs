// A reactor on a thread of its own, from docs/from-nothing.md. The examples of that page include
// this file.

use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex};
use std::thread;

use futures::task::AtomicTask;
use futures::{Async, Future, Poll};
use mio::event::Source;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Registry, Token};

/// The tasks that wait for a socket. The place of each is the token of its socket.
type Waiting = Arc<Mutex<Vec<Arc<AtomicTask>>>>;

pub struct Reactor {
    registry: Registry,
    waiting: Waiting,
}

impl Reactor {
    pub fn start() -> io::Result<Reactor> {
        let poll = mio::Poll::new()?;
        let registry = poll.registry().try_clone()?;
        let waiting = Waiting::default();
        let of_reactor = Arc::clone(&waiting);
        thread::spawn(move || wake_tasks(poll, &of_reactor));
        Ok(Reactor { registry, waiting })
    }

    /// Starts to watch a socket. Wakes the task in the result when there may be something to read.
    pub fn watch(&self, socket: &mut impl Source) -> io::Result<Arc<AtomicTask>> {
        let mut waiting = self.waiting.lock().unwrap();
        let token = Token(waiting.len());
        self.registry.register(socket, token, Interest::READABLE)?;
        let task = Arc::<AtomicTask>::default();
        waiting.push(Arc::clone(&task));
        Ok(task)
    }
}

fn wake_tasks(mut poll: mio::Poll, waiting: &Waiting) {
    let mut events = Events::with_capacity(64);
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return,
            Ok(()) | Err(_) => {}
        }
        for event in &events {
            let task = Arc::clone(&waiting.lock().unwrap()[event.token().0]);
            task.notify();
        }
    }
}

/// Resolves to the next connection of a listener.
pub struct Accept {
    listener: TcpListener,
    task: Arc<AtomicTask>,
}

impl Accept {
    pub fn new(mut listener: TcpListener, reactor: &Reactor) -> io::Result<Accept> {
        let task = reactor.watch(&mut listener)?;
        Ok(Accept { listener, task })
    }
}

impl Future for Accept {
    type Item = TcpStream;
    type Error = io::Error;

    fn poll(&mut self) -> Poll<TcpStream, io::Error> {
        self.task.register();
        match self.listener.accept() {
            Ok((socket, _)) => Ok(Async::Ready(socket)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Async::NotReady),
            Err(error) => Err(error),
        }
    }
}
