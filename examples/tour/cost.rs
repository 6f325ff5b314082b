//! What one `get` costs, by the way the client is written. Every number is measured here and now.

use std::any;
use std::cell::Cell;
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::time::Instant;

use futures::sync::oneshot;
use futures::{Future, Poll, Stream, stream};
use kvs::Result;
use kvs::client::{Client, blocking};

use super::Server;

const REQUESTS: u32 = 5_000;
const IN_FLIGHT: usize = 64;
const KEY: &str = "tour";

/// The costs of a variant. What a blocking call has none of is `None`.
struct Cost {
    signature: String,
    type_name: Option<&'static str>,
    bytes: Option<usize>,
    allocations: f64,
    polls: Option<f64>,
    alone: f64,
    in_flight: Option<f64>,
}

pub(super) fn run(dir: &Path) -> Result<()> {
    let server = Server::start(dir)?;
    let mut client = blocking::KvsClient::connect(server.addr)?;
    client.set(KEY.to_owned(), "v".repeat(64))?;
    drop(client);
    let addr = server.addr;
    let costs = [
        ("blocking", measure_blocking(addr)?),
        #[cfg(feature = "boxed")]
        (
            "boxed",
            measure::<kvs::client::boxed::KvsClient>(
                addr,
                include_str!("../../variants/boxed.rs"),
            )?,
        ),
        #[cfg(feature = "explicit")]
        (
            "explicit",
            measure::<kvs::client::explicit::KvsClient>(
                addr,
                include_str!("../../variants/explicit.rs"),
            )?,
        ),
        #[cfg(feature = "anon")]
        (
            "anon",
            measure::<kvs::client::anon::KvsClient>(addr, include_str!("../../variants/anon.rs"))?,
        ),
        #[cfg(feature = "manual")]
        (
            "manual",
            measure::<kvs::client::manual::KvsClient>(
                addr,
                include_str!("../../variants/manual.rs"),
            )?,
        ),
    ];
    server.stop()?;

    println!("\nWhat `get` returns:\n");
    for (name, cost) in &costs {
        println!("{name:<9} {}", cost.signature);
    }
    println!("\nWhat one `get` costs (on one thread, the server on others):\n");
    println!(
        "{:<9} {:>12} {:>12} {:>6} {:>10} {:>15}",
        "client", "future bytes", "allocations", "polls", "alone us", "64 in flight us"
    );
    for (name, cost) in &costs {
        println!(
            "{name:<9} {:>12} {:>12.1} {:>6} {:>10.1} {:>15}",
            or_dash(cost.bytes),
            cost.allocations,
            or_dash(cost.polls.map(|polls| format!("{polls:.1}"))),
            cost.alone,
            or_dash(cost.in_flight.map(|time| format!("{time:.1}"))),
        );
    }
    println!("\nWhat the compiler calls the future, modules left out:\n");
    for (name, cost) in &costs {
        if let Some(full) = cost.type_name {
            println!(
                "{name:<9} {} ({} characters in full)",
                shorten(full),
                full.len()
            );
        }
    }
    Ok(())
}

fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

fn measure_blocking(addr: SocketAddr) -> Result<Cost> {
    let mut client = blocking::KvsClient::connect(addr)?;
    let mut alone = || -> Result<f64> {
        let began = Instant::now();
        for _ in 0..REQUESTS {
            client.get(KEY.to_owned())?;
        }
        Ok(micros(began))
    };
    alone()?;
    let mut time = Ok(0.0);
    let allocations = count_allocations(|| time = alone());
    Ok(Cost {
        signature: signature_of_get(include_str!("../../src/client/blocking.rs")),
        type_name: None,
        bytes: None,
        allocations,
        polls: None,
        alone: time?,
        in_flight: None,
    })
}

#[allow(dead_code, reason = "without a feature there is no such client")]
fn measure<C: Client>(addr: SocketAddr, source: &str) -> Result<Cost> {
    let mut runtime = super::runtime()?;
    let mut client: C = runtime.block_on(C::connect(addr))?;
    let future = client.get(KEY.to_owned());
    let (type_name, bytes) = (any::type_name_of_val(&future), size_of_val(&future));
    drop(future);

    let mut alone = || -> Result<f64> {
        let began = Instant::now();
        for _ in 0..REQUESTS {
            runtime.block_on(client.get(KEY.to_owned()))?;
        }
        Ok(micros(began))
    };
    alone()?;
    let mut time = Ok(0.0);
    let allocations = count_allocations(|| time = alone());

    // On a task of its own: `block_on` polls its future whenever anything happens.
    let polls = Rc::new(Cell::new(0));
    for _ in 0..REQUESTS {
        let (future, polls) = (client.get(KEY.to_owned()), Rc::clone(&polls));
        let (sender, done) = oneshot::channel();
        runtime.spawn(Counted { future, polls }.then(|result| sender.send(result).map_err(drop)));
        let result = runtime.block_on(done);
        result.unwrap_or_else(|_| unreachable!("the task sends its result"))?;
    }
    let polls = f64::from(polls.get()) / f64::from(REQUESTS);

    let gets = stream::iter_ok(0..REQUESTS)
        .map(|_| client.get(KEY.to_owned()))
        .buffer_unordered(IN_FLIGHT)
        .for_each(|_| Ok(()));
    let began = Instant::now();
    runtime.block_on(gets)?;
    Ok(Cost {
        signature: signature_of_get(source),
        type_name: Some(type_name),
        bytes: Some(bytes),
        allocations,
        polls: Some(polls),
        alone: time?,
        in_flight: Some(micros(began)),
    })
}

/// Microseconds a request since `began`.
fn micros(began: Instant) -> f64 {
    began.elapsed().as_secs_f64() * 1e6 / f64::from(REQUESTS)
}

/// Allocations a request, on this thread: those of the future, of the connection's task, and of
/// the JSON on its way out and in.
fn count_allocations(requests: impl FnOnce()) -> f64 {
    let counted = allocation_counter::measure(requests);
    counted.count_total as f64 / f64::from(REQUESTS)
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

/// What stands behind the arrow of `pub fn get`, on one line.
fn signature_of_get(source: &str) -> String {
    let get = source.split("pub fn get(").nth(1).unwrap_or_default();
    let head = get.split(" {\n").next().unwrap_or_default();
    let result = head.split_once("-> ").map_or(head, |(_, result)| result);
    let words: Vec<_> = result.split_whitespace().collect();
    words.join(" ").replace("< ", "<").replace(", >", ">")
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
