//! Two ways to write a loop of futures, and the memory that each of them needs.
//!
//! `cargo run --features boxed --example loops` starts a server of its own, stores lists of pairs
//! in it, and counts the memory of the thread that polls the futures.
//!
//! The recursive loop nests one future for each pair in the one before it. `loop_fn` has one future
//! at a time.
//!
//! With a number, `cargo run --features boxed --example loops -- 1000` stores so many pairs on a
//! thread with a stack of 2 MiB, in both ways.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, error, panic, thread};

use futures::future::{self, Either, Future, Loop};
use kvs::client::boxed::KvsClient;
use kvs::thread_pool::SharedQueueThreadPool;
use kvs::{KvStore, KvsError, KvsServer, Result};
use tokio::runtime::current_thread::Runtime;

/// The stack of a thread, unless its creator sets another size.
pub(crate) const USUAL_STACK: usize = 2 * 1024 * 1024;

/// A stack with room for every list that is measured.
pub(crate) const LARGE_STACK: usize = 32 * USUAL_STACK;

type SetAll = Box<dyn Future<Item = (), Error = KvsError> + Send>;

fn main() -> std::result::Result<(), Box<dyn error::Error>> {
    let dir = tempfile::tempdir()?;
    let store = KvStore::<SharedQueueThreadPool>::open(dir.path(), 2)?;
    let server = KvsServer::new(store).bind(([127, 0, 0, 1], 0).into())?;
    let addr = server.local_addr();
    thread::spawn(|| server.run());
    match env::args().nth(1) {
        None => print!("{}", table(addr)?),
        Some(keys) => {
            let keys = keys.parse()?;
            for (name, way) in [("loop_fn", LOOP_FN), ("recursion", RECURSION)] {
                println!("{keys} pairs with {name} ...");
                measure(addr, way, keys, USUAL_STACK)?;
                println!("... are stored");
            }
        }
    }
    Ok(())
}

/// Stores the pairs one after the other. Stops at the first error.
fn set_all_recursively(
    mut client: KvsClient,
    mut pairs: impl Iterator<Item = (String, String)> + Send + 'static,
) -> Box<dyn Future<Item = (), Error = KvsError> + Send> {
    match pairs.next() {
        None => Box::new(future::ok(())),
        Some((key, value)) => {
            let set = client.set(key, value);
            Box::new(set.and_then(|()| set_all_recursively(client, pairs)))
        }
    }
}

/// Stores the pairs one after the other. Stops at the first error.
fn set_all(
    client: KvsClient,
    pairs: impl Iterator<Item = (String, String)> + Send + 'static,
) -> Box<dyn Future<Item = (), Error = KvsError> + Send> {
    let all = future::loop_fn((client, pairs), |(mut client, mut pairs)| {
        let Some((key, value)) = pairs.next() else {
            return Either::A(future::ok(Loop::Break(())));
        };
        let set = client.set(key, value);
        Either::B(set.map(|()| Loop::Continue((client, pairs))))
    });
    Box::new(all)
}

/// A way to write the loop.
pub(crate) type Way = fn(KvsClient, Pairs) -> SetAll;

pub(crate) const RECURSION: Way = set_all_recursively;
pub(crate) const LOOP_FN: Way = set_all;

/// The most memory in use at a time, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) heap: usize,
    pub(crate) stack: usize,
}

/// Pairs with keys of one length, and a note how deep in the stack `next` was called.
pub(crate) struct Pairs {
    left: usize,
    /// The lowest address of a local variable of `next`. A stack grows towards lower addresses.
    deepest: Arc<AtomicUsize>,
}

impl Pairs {
    pub(crate) fn new(pairs: usize) -> Pairs {
        Pairs {
            left: pairs,
            deepest: Arc::new(AtomicUsize::new(usize::MAX)),
        }
    }

    /// Returns the address that the pairs note.
    pub(crate) fn deepest(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.deepest)
    }
}

impl Iterator for Pairs {
    type Item = (String, String);

    fn next(&mut self) -> Option<(String, String)> {
        self.deepest
            .fetch_min(address_in_stack(), Ordering::Relaxed);
        self.left = self.left.checked_sub(1)?;
        Some((format!("key {:06}", self.left), "value".to_owned()))
    }
}

/// Returns the address of a local variable.
#[inline(never)]
pub(crate) fn address_in_stack() -> usize {
    let local = 0_u8;
    (&raw const local).addr()
}

/// Stores `keys` pairs on a new thread, which also polls the driver of the client.
pub(crate) fn measure(addr: SocketAddr, way: Way, keys: usize, stack: usize) -> Result<Cost> {
    let run = move || {
        let mut runtime = Runtime::new()?;
        let client = runtime.block_on(KvsClient::connect(addr))?;
        // The first requests make the buffers of the connection grow.
        runtime.block_on(LOOP_FN(client.clone(), Pairs::new(10)))?;

        let pairs = Pairs::new(keys);
        let deepest = pairs.deepest();
        let mut result = Ok(());
        let start = address_in_stack();
        let heap = allocation_counter::measure(|| {
            result = runtime.block_on(way(client, pairs));
        });
        result?;
        Ok(Cost {
            heap: usize::try_from(heap.bytes_max).unwrap_or(usize::MAX),
            stack: start - deepest.load(Ordering::Relaxed),
        })
    };
    let thread = thread::Builder::new().stack_size(stack).spawn(run)?;
    thread
        .join()
        .unwrap_or_else(|cause| panic::resume_unwind(cause))
}

/// Returns the cost of lists of three lengths.
fn table(addr: SocketAddr) -> Result<String> {
    let mut table = String::from("                recursion             loop_fn\n");
    table += " pairs      heap     stack      heap     stack\n";
    for keys in [10, 100, 1000] {
        let recursion = measure(addr, RECURSION, keys, LARGE_STACK)?;
        let loop_fn = measure(addr, LOOP_FN, keys, LARGE_STACK)?;
        let row = [
            keys,
            recursion.heap,
            recursion.stack,
            loop_fn.heap,
            loop_fn.stack,
        ];
        let [keys, cells @ ..] = row.map(|number| number.to_string());
        table += &format!("{keys:>6}");
        for cell in cells {
            table += &format!("{cell:>10}");
        }
        table += "\n";
    }
    Ok(table)
}
