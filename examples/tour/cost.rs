//! The cost of one `get` with each client. The program measures every figure that it prints.

use std::any;
use std::cell::Cell;
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::time::Instant;

use futures::sync::oneshot;
use futures::{Future, Poll, Stream, future, stream};
use kvs::client::{Client, blocking};
use kvs::{KvsError, Result};
use tokio::runtime::current_thread::Runtime;

use super::Server;

/// The requests of a round.
const REQUESTS: u32 = 1_000;

/// Each round measures all clients, so other work on the machine slows all of them down. The times
/// are medians of the rounds.
const ROUNDS: usize = 9;

/// The requests that are pending at once in the last column.
const IN_FLIGHT: usize = 64;

const KEY: &str = "tour";

const ABOUT_SIGNATURES: &str = "
Each client gets a value from the same server in the same way. The difference is the type that its
`get` returns:
";

const ABOUT_COSTS: &str = "
The cost of one `get`, with the client on one thread and the server on others.

future bytes   the size of the future. The blocking client returns the value itself.
allocations    the heap allocations of the client's thread: for the future, for the task of the
               connection, and for the JSON of request and reply.
polls          how often the executor calls `poll`, which asks the future whether it is ready. The
               first poll sends the request. The reply wakes the task, and the second poll takes it.
alone          microseconds of a request that is sent after the reply to the one before it. Most of
               it is the way to the server and back.
64 in flight   microseconds of a request if 64 are pending at all times, which share that way. The
               blocking client waits for each reply, so it has no figure.
";

const ABOUT_BRIDGE: &str = "
pinned and awaited pay for a bridge. Their futures are those of the standard library, the runtime
here is tokio 0.1, and the conversions between the two allocate three times for each `get`.";

const ABOUT_TYPE_NAMES: &str = "
The compiler's own name for each future, without modules. The type of a chain contains the types of
all its parts, and a box hides them:
";

/// A client to measure. The blocking client has no futures, so some methods return `None`.
trait Measured {
    /// Returns the return type of `get`, as the source has it.
    fn signature(&self) -> String;
    /// Returns the compiler's name of the future of `get`.
    fn type_name(&mut self) -> Option<&'static str>;
    /// Returns the size of the future of `get`.
    fn future_bytes(&mut self) -> Option<usize>;
    /// Returns the allocations for each request on this thread.
    fn allocations(&mut self) -> Result<f64>;
    /// Returns the polls for each request, if each has its own task.
    fn polls(&mut self) -> Result<Option<f64>>;
    /// Sends the requests of a round one after the other.
    fn alone(&mut self) -> Result<()>;
    /// Sends the requests of a round with [`IN_FLIGHT`] pending at once.
    fn in_flight(&mut self) -> Result<Option<()>>;
}

type Clients = Vec<(&'static str, Box<dyn Measured>)>;

/// Makes a pair of a client's name and the client.
#[allow(unused_macros, reason = "without a feature there is no such client")]
macro_rules! variant {
    ($variant:ident, $addr:expr) => {{
        type Client = kvs::client::$variant::KvsClient;
        let source = include_str!(concat!("../../variants/", stringify!($variant), ".rs"));
        // A std future of the client's own `get` is not the future that the trait returns.
        let describe = |client: &mut Client| describe(&client.get(KEY.to_owned()));
        let variant: Box<dyn Measured> = Variant::<Client>::boxed($addr, source, describe)?;
        (stringify!($variant), variant)
    }};
}

pub(super) fn run(dir: &Path) -> Result<()> {
    let server = Server::start(dir)?;
    let mut clients = connect(server.addr)?;
    println!("{ABOUT_SIGNATURES}");
    for (name, client) in &clients {
        println!("{name:<9} {}", client.signature());
    }
    println!("{ABOUT_COSTS}");
    print_costs(&mut clients)?;
    if cfg!(any(feature = "pinned", feature = "awaited")) {
        println!("{ABOUT_BRIDGE}");
    }
    println!("{ABOUT_TYPE_NAMES}");
    for (name, client) in &mut clients {
        if let Some(full) = client.type_name() {
            let short = shorten(full);
            println!("{name:<9} {short} ({} characters in full)", full.len());
        }
    }
    drop(clients);
    server.stop()
}

fn connect(addr: SocketAddr) -> Result<Clients> {
    let mut blocking = blocking::KvsClient::connect(addr)?;
    blocking.set(KEY.to_owned(), "v".repeat(64))?;
    Ok(vec![
        ("blocking", Box::new(blocking)),
        #[cfg(feature = "boxed")]
        variant!(boxed, addr),
        #[cfg(feature = "explicit")]
        variant!(explicit, addr),
        #[cfg(feature = "anon")]
        variant!(anon, addr),
        #[cfg(feature = "manual")]
        variant!(manual, addr),
        #[cfg(feature = "pinned")]
        variant!(pinned, addr),
        #[cfg(feature = "awaited")]
        variant!(awaited, addr),
    ])
}

fn print_costs(clients: &mut Clients) -> Result<()> {
    let mut alone = vec![Vec::new(); clients.len()];
    let mut in_flight = vec![Vec::new(); clients.len()];
    for _ in 0..ROUNDS {
        for (n, (_, client)) in clients.iter_mut().enumerate() {
            let began = Instant::now();
            client.alone()?;
            alone[n].push(micros(began));
            let began = Instant::now();
            if client.in_flight()?.is_some() {
                in_flight[n].push(micros(began));
            }
        }
    }
    println!(
        "{:<9} {:>12} {:>12} {:>6} {:>10} {:>15}",
        "client", "future bytes", "allocations", "polls", "alone us", "64 in flight us"
    );
    for (n, (name, client)) in clients.iter_mut().enumerate() {
        println!(
            "{name:<9} {:>12} {:>12.1} {:>6} {:>10} {:>15}",
            or_dash(client.future_bytes()),
            client.allocations()?,
            or_dash(client.polls()?),
            or_dash(median(&mut alone[n])),
            or_dash(median(&mut in_flight[n])),
        );
    }
    Ok(())
}

impl Measured for blocking::KvsClient {
    fn signature(&self) -> String {
        signature_of_get(include_str!("../../src/client/blocking.rs"))
    }

    fn type_name(&mut self) -> Option<&'static str> {
        None
    }

    fn future_bytes(&mut self) -> Option<usize> {
        None
    }

    fn allocations(&mut self) -> Result<f64> {
        count_allocations(|| self.alone())
    }

    fn polls(&mut self) -> Result<Option<f64>> {
        Ok(None)
    }

    fn alone(&mut self) -> Result<()> {
        (0..REQUESTS).try_for_each(|_| self.get(KEY.to_owned()).map(drop))
    }

    fn in_flight(&mut self) -> Result<Option<()>> {
        Ok(None)
    }
}

/// A client with futures, on a runtime on this thread.
#[allow(dead_code, reason = "without a feature there is no such client")]
struct Variant<C> {
    client: C,
    runtime: Runtime,
    source: &'static str,
    describe: fn(&mut C) -> (&'static str, usize),
}

/// Returns the name of a future's type, and its size.
#[allow(dead_code, reason = "without a feature there is no such client")]
fn describe<F>(future: &F) -> (&'static str, usize) {
    (any::type_name_of_val(future), size_of_val(future))
}

#[allow(dead_code, reason = "without a feature there is no such client")]
impl<C: Client> Variant<C> {
    fn boxed(
        addr: SocketAddr,
        source: &'static str,
        describe: fn(&mut C) -> (&'static str, usize),
    ) -> Result<Box<dyn Measured>> {
        let mut runtime = super::runtime()?;
        let client: C = runtime.block_on(C::connect(addr))?;
        Ok(Box::new(Variant {
            client,
            runtime,
            source,
            describe,
        }))
    }
}

impl<C: Client> Measured for Variant<C> {
    fn signature(&self) -> String {
        signature_of_get(self.source)
    }

    fn type_name(&mut self) -> Option<&'static str> {
        Some((self.describe)(&mut self.client).0)
    }

    fn future_bytes(&mut self) -> Option<usize> {
        Some((self.describe)(&mut self.client).1)
    }

    /// Subtracts the allocations of the tasks. A std future has three more than the others: the box
    /// and the waker that `compat` puts around it, because the runtime is tokio 0.1, and the waker
    /// that `compat` makes inside it for the reply, which is a future of futures 0.1. `compat`
    /// makes a new waker at each poll.
    fn allocations(&mut self) -> Result<f64> {
        let Variant {
            client, runtime, ..
        } = self;
        let all = count_allocations(|| on_tasks(runtime, || client.get(KEY.to_owned())))?;
        let of_tasks = count_allocations(|| on_tasks(runtime, || future::ok(())))?;
        Ok(all - of_tasks)
    }

    fn polls(&mut self) -> Result<Option<f64>> {
        let polls = Rc::new(Cell::new(0));
        let client = &mut self.client;
        on_tasks(&mut self.runtime, || Counted {
            future: client.get(KEY.to_owned()),
            polls: Rc::clone(&polls),
        })?;
        Ok(Some(f64::from(polls.get()) / f64::from(REQUESTS)))
    }

    fn alone(&mut self) -> Result<()> {
        (0..REQUESTS).try_for_each(|_| {
            let get = self.client.get(KEY.to_owned());
            self.runtime.block_on(get).map(drop)
        })
    }

    fn in_flight(&mut self) -> Result<Option<()>> {
        let gets = stream::iter_ok(0..REQUESTS)
            .map(|_| self.client.get(KEY.to_owned()))
            .buffer_unordered(IN_FLIGHT)
            .for_each(|_| Ok(()));
        self.runtime.block_on(gets).map(Some)
    }
}

/// Runs the requests of a round one after the other, each on its own task. Tasks are polled only
/// when they are woken, but `block_on` polls its future whenever anything happens.
fn on_tasks<F>(runtime: &mut Runtime, mut request: impl FnMut() -> F) -> Result<()>
where
    F: Future<Error = KvsError> + 'static,
{
    for _ in 0..REQUESTS {
        let (sender, done) = oneshot::channel();
        let task = request().then(|result| sender.send(result).map_err(drop));
        runtime.spawn(task);
        let result = runtime.block_on(done);
        result.unwrap_or_else(|_| unreachable!("the task sends its result"))?;
    }
    Ok(())
}

fn median(times: &mut [f64]) -> Option<String> {
    times.sort_by(f64::total_cmp);
    Some(format!("{:.1}", times.get(times.len() / 2)?))
}

fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// Returns the microseconds for each request of a round that began at `began`.
fn micros(began: Instant) -> f64 {
    began.elapsed().as_secs_f64() * 1e6 / f64::from(REQUESTS)
}

/// Returns the allocations on this thread for each request, if `requests` sends those of a round.
fn count_allocations(requests: impl FnOnce() -> Result<()>) -> Result<f64> {
    let mut result = Ok(());
    let counted = allocation_counter::measure(|| result = requests());
    result?;
    Ok(counted.count_total as f64 / f64::from(REQUESTS))
}

/// A future that counts how often it is polled.
struct Counted<F> {
    future: F,
    polls: Rc<Cell<u32>>,
}

impl<F: Future> Future for Counted<F> {
    type Item = F::Item;
    type Error = F::Error;

    fn poll(&mut self) -> Poll<F::Item, F::Error> {
        self.polls.set(self.polls.get() + 1);
        self.future.poll()
    }
}

/// Returns the return type of `get` on one line. For an `async fn`, that is a future of the type in
/// the source.
fn signature_of_get(source: &str) -> String {
    let (before, get) = source.split_once("fn get(").unwrap_or_default();
    let head = get.split(" {\n").next().unwrap_or_default();
    let result = head.split_once("-> ").map_or(head, |(_, result)| result);
    let words: Vec<_> = result.split_whitespace().collect();
    let result = words.join(" ").replace("< ", "<").replace(", >", ">");
    if before.ends_with("async ") {
        format!("impl Future<Output = {result}>")
    } else {
        result
    }
}

/// Removes the modules from the name of a type and of its parts.
fn shorten(type_name: &str) -> String {
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let mut short = String::new();
    let mut rest = type_name;
    while let Some(c) = rest.chars().next() {
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end.max(c.len_utf8()));
        short += word.rsplit("::").next().unwrap_or(word);
        rest = after;
    }
    short
}
