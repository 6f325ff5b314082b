//! What one `get` costs, by the way the client is written. Every number is measured here and now.

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

/// Requests in a round, and rounds. All clients have their turn in each round, so that whatever else
/// the machine does meets all of them; the times are medians of the rounds.
const REQUESTS: u32 = 1_000;
const ROUNDS: usize = 9;
const IN_FLIGHT: usize = 64;
const KEY: &str = "tour";

/// What is measured of a client. What a blocking call has none of is `None`.
trait Measured {
    fn signature(&self) -> String;
    fn type_name(&mut self) -> Option<&'static str>;
    fn future_bytes(&mut self) -> Option<usize>;
    /// Allocations a request, on this thread: those of the future, of the connection's task, and of
    /// the JSON on its way out and in.
    fn allocations(&mut self) -> Result<f64>;
    /// Polls a request, where each has a task of its own.
    fn polls(&mut self) -> Result<Option<f64>>;
    /// Makes the requests of a round one after the other.
    fn alone(&mut self) -> Result<()>;
    /// Makes them with [`IN_FLIGHT`] under way at once.
    fn in_flight(&mut self) -> Result<Option<()>>;
}

/// A client by its name, with the file that it is in and what is to be known of its futures.
#[allow(unused_macros, reason = "without a feature there is no such client")]
macro_rules! variant {
    ($variant:ident, $addr:expr) => {{
        type Client = kvs::client::$variant::KvsClient;
        let source = include_str!(concat!("../../variants/", stringify!($variant), ".rs"));
        // The future of the client's own method, which for a std future is not that of the trait.
        let describe = |client: &mut Client| describe(&client.get(KEY.to_owned()));
        let variant: Box<dyn Measured> = Variant::<Client>::boxed($addr, source, describe)?;
        (stringify!($variant), variant)
    }};
}

pub(super) fn run(dir: &Path) -> Result<()> {
    let server = Server::start(dir)?;
    let addr = server.addr;
    let mut blocking = blocking::KvsClient::connect(addr)?;
    blocking.set(KEY.to_owned(), "v".repeat(64))?;
    let mut clients: Vec<(&str, Box<dyn Measured>)> = vec![
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
    ];

    println!("\nWhat `get` returns:\n");
    for (name, client) in &clients {
        println!("{name:<9} {}", client.signature());
    }

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
        "\nWhat one `get` costs (on one thread, the server on others; medians of {ROUNDS} rounds):\n"
    );
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
    println!("\nWhat the compiler calls the future, modules left out:\n");
    for (name, client) in &mut clients {
        if let Some(full) = client.type_name() {
            println!(
                "{name:<9} {} ({} characters in full)",
                shorten(full),
                full.len()
            );
        }
    }
    drop(clients);
    server.stop()
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

/// A client with futures, on a runtime of this thread.
#[allow(dead_code, reason = "without a feature there is no such client")]
struct Variant<C> {
    client: C,
    runtime: Runtime,
    source: &'static str,
    describe: fn(&mut C) -> (&'static str, usize),
}

/// The name of a future's type, and its size.
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

    /// Without those of the tasks. Std futures have three more: a box and a waker that compat puts
    /// around them, since the runtime here is of tokio 0.1, and a waker that it puts around the one of
    /// the reply, which is a future of 0.1 inside them. The wakers are made anew in each poll.
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

/// Runs the requests of a round one after the other, each on a task of its own: `block_on` polls its
/// future whenever anything happens, and a task only when it was woken.
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

/// Microseconds a request since `began`.
fn micros(began: Instant) -> f64 {
    began.elapsed().as_secs_f64() * 1e6 / f64::from(REQUESTS)
}

/// Allocations of a request, on this thread, where `requests` makes those of a round.
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

/// What stands behind the arrow of `get`, on one line, and for an `async fn` a future of that.
fn signature_of_get(source: &str) -> String {
    let (before, get) = source.split_once("fn get(").unwrap_or_default();
    let head = get.split(" {\n").next().unwrap_or_default();
    let result = head.split_once("-> ").map_or(head, |(_, result)| result);
    let words: Vec<_> = result.split_whitespace().collect();
    let result = words.join(" ").replace("< ", "<").replace(", >", ">");
    match before.ends_with("async ") {
        true => format!("impl Future<Output = {result}>"),
        false => result,
    }
}

/// A type's name without the modules that its parts are in.
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
