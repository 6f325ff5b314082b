//! The six clients, one connection each, against a server in a separate process:
//! `cargo bench --all-features --bench clients`.
//!
//! A bare socket shows the upper limit that the server and the system set.

#[path = "../tests/common/mod.rs"]
mod common;

use std::cell::Cell;
use std::env;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

use common::{ServerProcess, Wire, frame, median};
use futures::sync::oneshot;
use futures::{Future, Poll, Stream, future, stream};
use kvs::KvsError;
use kvs::client::{Client, anon, awaited, blocking, boxed, explicit, manual, pinned};
use tokio::runtime::current_thread::{self, Runtime};

const IN_FLIGHT: usize = 64;
const KEY: &str = "key";

/// A client that gets [`KEY`].
trait Getter {
    /// Sends the requests one after the other.
    fn alone(&mut self, gets: usize);
    /// Sends the requests with [`IN_FLIGHT`] pending at once.
    fn in_flight(&mut self, gets: usize);
    /// Returns the size of a future, or 0 if the client has none.
    fn future_bytes(&mut self) -> usize {
        0
    }
    /// Returns the number of allocations on this thread.
    fn allocations(&mut self, gets: usize) -> u64 {
        allocation_counter::measure(|| self.alone(gets)).count_total
    }
    /// Returns the number of polls, with one task for each get and `at_once` tasks at once.
    fn polls(&mut self, _gets: usize, _at_once: usize) -> usize {
        0
    }
}

/// A socket with frames that are encoded in advance. It counts the bytes of the replies and does
/// not decode them.
struct Bare {
    socket: Wire,
    requests: Vec<u8>,
    request_len: usize,
    reply_len: usize,
    input: Vec<u8>,
}

impl Bare {
    fn connect(addr: SocketAddr, value: &str) -> Bare {
        let request = format!(r#"{{"Get":{{"key":"{KEY}"}}}}"#);
        let reply = format!(r#"{{"Get":"{value}"}}"#);
        let mut socket = Wire::connect(addr);
        socket.send(&request);
        assert_eq!(socket.receive(), reply);
        let request = frame(request);
        Bare {
            socket,
            requests: request.repeat(IN_FLIGHT),
            request_len: request.len(),
            reply_len: frame(reply).len(),
            input: vec![0; 64 * 1024],
        }
    }

    fn gets(&mut self, gets: usize, at_once: usize) {
        let (mut sent, mut received) = (0, 0);
        while received < gets * self.reply_len {
            let now = gets.min(received / self.reply_len + at_once) - sent;
            let requests = &self.requests[..now * self.request_len];
            self.socket.0.write_all(requests).unwrap();
            sent += now;
            let len = self.socket.0.read(&mut self.input).unwrap();
            assert!(len > 0, "the server closed the connection");
            received += len;
        }
        // Any other reply has another length.
        assert_eq!(received, gets * self.reply_len);
    }
}

impl Getter for Bare {
    fn alone(&mut self, gets: usize) {
        self.gets(gets, 1);
    }

    fn in_flight(&mut self, gets: usize) {
        self.gets(gets, IN_FLIGHT);
    }
}

/// A client with futures, on a runtime on this thread.
///
/// The runtime is that of tokio 0.1 for all clients. To poll a std future, it needs a box and a
/// waker, which `compat` allocates at each poll. So two allocations of a get, and some of its time,
/// are not the client's. A third allocation is inside the client: the waker for the reply, which is
/// a future of futures 0.1.
struct Variant<C> {
    client: C,
    runtime: Runtime,
    /// Returns the size of the future of the client's own `get`. The one of the trait may be a box
    /// around it.
    future_bytes: fn(&mut C) -> usize,
}

impl<C: Client> Variant<C> {
    fn connect(addr: SocketAddr, future_bytes: fn(&mut C) -> usize) -> Box<dyn Getter> {
        let mut runtime = Runtime::new().unwrap();
        let client = runtime.block_on(C::connect(addr)).unwrap();
        Box::new(Variant {
            client,
            runtime,
            future_bytes,
        })
    }
}

impl<C: Client> Getter for Variant<C> {
    fn alone(&mut self, gets: usize) {
        for _ in 0..gets {
            let get = self.client.get(KEY.to_owned());
            assert!(self.runtime.block_on(get).unwrap().is_some());
        }
    }

    fn in_flight(&mut self, gets: usize) {
        let gets = stream::iter_ok(0..gets)
            .map(|_| self.client.get(KEY.to_owned()))
            .buffer_unordered(IN_FLIGHT)
            .for_each(|value| {
                assert!(value.is_some());
                Ok(())
            });
        self.runtime.block_on(gets).unwrap();
    }

    fn future_bytes(&mut self) -> usize {
        (self.future_bytes)(&mut self.client)
    }

    /// Subtracts the allocations of the tasks.
    fn allocations(&mut self, gets: usize) -> u64 {
        let Variant {
            client, runtime, ..
        } = self;
        let all = allocation_counter::measure(|| {
            on_tasks(runtime, gets, 1, || client.get(KEY.to_owned()));
        });
        let of_tasks = allocation_counter::measure(|| {
            on_tasks(runtime, gets, 1, || future::ok(Some(String::new())));
        });
        all.count_total - of_tasks.count_total
    }

    fn polls(&mut self, gets: usize, at_once: usize) -> usize {
        let polls = Rc::new(Cell::new(0));
        let client = &mut self.client;
        on_tasks(&mut self.runtime, gets, at_once, || Counted {
            future: client.get(KEY.to_owned()),
            polls: Rc::clone(&polls),
        });
        polls.get()
    }
}

/// Runs each get on its own task, `at_once` of them at a time. Tasks are polled only when they are
/// woken, but `block_on` polls its future whenever anything happens.
fn on_tasks<F>(runtime: &mut Runtime, gets: usize, at_once: usize, mut get: impl FnMut() -> F)
where
    F: Future<Item = Option<String>, Error = KvsError> + 'static,
{
    let tasks = stream::iter_ok::<_, oneshot::Canceled>(0..gets)
        .map(|_| {
            let (sender, done) = oneshot::channel();
            current_thread::spawn(get().then(|value| sender.send(value).map_err(drop)));
            done
        })
        .buffer_unordered(at_once)
        .for_each(|value| {
            assert!(value.unwrap().is_some());
            Ok(())
        });
    runtime.block_on(tasks).unwrap();
}

/// A future that counts how often it is polled.
struct Counted<F> {
    future: F,
    polls: Rc<Cell<usize>>,
}

impl<F: Future> Future for Counted<F> {
    type Item = F::Item;
    type Error = F::Error;

    fn poll(&mut self) -> Poll<F::Item, F::Error> {
        self.polls.set(self.polls.get() + 1);
        self.future.poll()
    }
}

fn main() {
    // `cargo test` only checks that it runs.
    let is_bench = env::args().any(|arg| arg == "--bench");
    let (gets, rounds) = if is_bench { (10_000, 15) } else { (100, 1) };
    let dir = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(dir.path(), &[]);
    let (addr, value) = (server.addr, "v".repeat(64));
    let mut client = blocking::KvsClient::connect(addr).unwrap();
    client.set(KEY.to_owned(), value.clone()).unwrap();

    macro_rules! variant {
        ($variant:ident) => {{
            let future_bytes =
                |client: &mut $variant::KvsClient| size_of_val(&client.get(KEY.to_owned()));
            let variant = Variant::<$variant::KvsClient>::connect(addr, future_bytes);
            (stringify!($variant), variant)
        }};
    }
    let mut getters: Getters = [
        ("bare", Box::new(Bare::connect(addr, &value))),
        variant!(boxed),
        variant!(explicit),
        variant!(anon),
        variant!(manual),
        variant!(pinned),
        variant!(awaited),
    ];
    let times = measure(&mut getters, gets, rounds);
    println!("A get, and {IN_FLIGHT} of them in flight (medians of {rounds} rounds):\n");
    print_table(&mut getters, &times, gets);
}

type Getters = [(&'static str, Box<dyn Getter>); 7];

/// Returns the seconds of a get on its own, and the gets a second with [`IN_FLIGHT`] pending.
fn measure(getters: &mut Getters, gets: usize, rounds: usize) -> ([f64; 7], [f64; 7]) {
    let [mut alone, mut in_flight] = [(); 2].map(|()| [const { Vec::new() }; 7]);
    // Each round runs all clients, so other work on the machine slows all of them down.
    for _ in 0..rounds {
        for (n, (_, getter)) in getters.iter_mut().enumerate() {
            let began = Instant::now();
            getter.alone(gets / 10);
            alone[n].push(10.0 * began.elapsed().as_secs_f64() / gets as f64);
            let began = Instant::now();
            getter.in_flight(gets);
            in_flight[n].push(gets as f64 / began.elapsed().as_secs_f64());
        }
    }
    (alone.map(median), in_flight.map(median))
}

fn print_table(getters: &mut Getters, (alone, rates): &([f64; 7], [f64; 7]), gets: usize) {
    let per_get = |total: usize| total as f64 / gets as f64;
    let fastest = rates[1..].iter().copied().fold(0.0, f64::max);
    println!(
        "                             alone     alone  in flight  in flight       of       of"
    );
    println!(
        "client    bytes  allocations    us     polls      polls      gets/s    bare  fastest"
    );
    for (n, (name, getter)) in getters.iter_mut().enumerate() {
        let allocations = getter.allocations(gets);
        println!(
            "{name:<9} {:>5} {:>12.1} {:>7.1} {:>8.2} {:>10.2} {:>11.0} {:>7.3} {:>8.3}",
            getter.future_bytes(),
            per_get(allocations as usize),
            alone[n] * 1e6,
            per_get(getter.polls(gets, 1)),
            per_get(getter.polls(gets, IN_FLIGHT)),
            rates[n],
            rates[n] / rates[0],
            rates[n] / fastest,
        );
    }
}
