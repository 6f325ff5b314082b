//! The cost of a request, in allocations and system calls. Unlike times, these numbers do not
//! depend on the machine or its load.
//!
//! A change that lowers a number lowers it here, too.
#![cfg(target_os = "linux")]

mod common;

use std::alloc::System;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Instant;

use common::{ANY_PORT, PATIENCE, ServerProcess, TestServer, Wire, frame};
use futures::Future;
use futures::executor::{self, Notify, NotifyHandle};
use kvs::KvStore;
use kvs::client::blocking::KvsClient;
use kvs::client::connection::Connection;
use kvs::engine::SyncLevel;
use kvs::protocol::{Request, Response};
use kvs::thread_pool::SharedQueueThreadPool;
use nix::errno::Errno;
use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use parking_lot::Mutex;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Locked while a test counts, so that no other test of this process runs.
static ALONE: Mutex<()> = Mutex::new(());

/// The number of times that each pipeline is sent for one count.
const TIMES: usize = 100;

/// Requests that are sent at once.
struct Pipeline {
    requests: Vec<u8>,
    /// A buffer of the length of the replies.
    replies: Vec<u8>,
}

impl Pipeline {
    fn new(requests: &[&str]) -> Pipeline {
        let requests: Vec<_> = requests
            .iter()
            .map(|request| match *request {
                "get" => (r#"{"Get":{"key":"key"}}"#, r#"{"Get":"value"}"#),
                "set" => (r#"{"Set":{"key":"key","value":"value"}}"#, r#""Set""#),
                "get another" => (r#"{"Get":{"key":"another"}}"#, r#"{"Get":"value"}"#),
                other => unreachable!("{other}"),
            })
            .collect();
        Pipeline {
            requests: requests
                .iter()
                .flat_map(|(request, _)| frame(request))
                .collect(),
            replies: requests
                .iter()
                .flat_map(|(_, reply)| frame(reply))
                .collect(),
        }
    }

    /// Sends the requests and waits for the replies.
    fn exchange(&mut self, server: &mut Wire) {
        server.0.write_all(&self.requests).unwrap();
        server.0.read_exact(&mut self.replies).unwrap();
    }
}

/// Returns the number of allocations that the server makes for these requests.
fn allocations(server: &mut Wire, requests: &[&str]) -> usize {
    let mut pipeline = Pipeline::new(requests);
    let counts = (0..10).map(|_| {
        let region = Region::new(ALLOCATOR);
        for _ in 0..TIMES {
            pipeline.exchange(server);
        }
        let change = region.change();
        change.allocations + change.reallocations
    });
    // Other threads of this process, such as that of the test, can only add to the number.
    let least = counts.min().unwrap();
    (least + TIMES / 2) / TIMES
}

#[test]
fn a_request_makes_no_more_allocations_than_it_needs() {
    let _alone = ALONE.lock();
    let dir = tempfile::tempdir().unwrap();
    // At this level no thread syncs in the background.
    let options = KvStore::<SharedQueueThreadPool>::options().sync(SyncLevel::Never);
    let store: KvStore<SharedQueueThreadPool> = options.open(dir.path(), 2).unwrap();
    let server = TestServer::start(store);
    let mut client = Wire::connect(server.addr);
    for key in ["key", "another"] {
        client.send(&format!(r#"{{"Set":{{"key":"{key}","value":"value"}}}}"#));
        client.receive();
    }

    let mut count = |requests: &[&str]| allocations(&mut client, requests);
    // The engine has the value in memory.
    assert_eq!(count(&["get"]), 0);
    assert_eq!(count(&["get"; 16]), 0);
    // The sets of a batch share its promise. A value of the same length replaces the old one.
    assert_eq!(count(&["set"]), 1);
    assert_eq!(count(&["set"; 16]), 1);
    // A get behind a set of its key waits for that.
    assert_eq!(count(&["set", "get"].repeat(8)), 19);
    assert_eq!(count(&["set", "get another"].repeat(8)), 1);
}

/// While the server hangs, the caller drops one pending request after the other.
#[test]
fn requests_that_were_given_up_leave_nothing_in_a_client() {
    const REQUESTS: usize = 100_000;
    let _alone = ALONE.lock();
    // The system accepts the connection, and no server reads from it.
    let server = TcpListener::bind(ANY_PORT).unwrap();
    let connection = Connection::open(server.local_addr().unwrap())
        .wait()
        .unwrap();
    let give_up = |requests| {
        let nothing: NotifyHandle = Arc::new(Nothing).into();
        for _ in 0..requests {
            let (sent, reply) = connection.request(&Request::Get { key: "k".into() });
            let mut request = executor::spawn(sent.and_then(|()| reply));
            let polled = request.poll_future_notify(&nothing, 0).unwrap();
            assert!(polled.is_not_ready());
        }
    };
    // The first requests fill the queue.
    give_up(REQUESTS);
    let region = Region::new(ALLOCATOR);
    give_up(REQUESTS);
    let change = region.change();
    let grown = change
        .bytes_allocated
        .saturating_sub(change.bytes_deallocated);
    assert!(grown < REQUESTS, "{grown} bytes more");
}

#[test]
fn a_client_gives_back_the_memory_of_a_long_value() {
    const LONG: usize = 8 * 1024 * 1024;
    const FEW: usize = 512 * 1024;
    let _alone = ALONE.lock();
    let dir = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(dir.path(), &[]);
    let expect_few = |region: &Region<'_, System>, client| {
        // A client gives the memory back within about a second, but this machine may be busy.
        let deadline = Instant::now() + PATIENCE;
        loop {
            let change = region.change();
            let kept = change
                .bytes_allocated
                .saturating_sub(change.bytes_deallocated);
            if kept < FEW {
                break;
            }
            assert!(Instant::now() < deadline, "{client} keeps {kept} bytes");
            thread::yield_now();
        }
    };

    let region = Region::new(ALLOCATOR);
    let connection = Connection::open(server.addr).wait().unwrap();
    let ask = |request| {
        let (sent, reply) = connection.request(&request);
        sent.and_then(|()| reply).wait().unwrap()
    };
    let (key, value) = ("k".to_owned(), "v".repeat(LONG));
    assert_eq!(ask(Request::Set { key, value }), Response::Set);
    expect_few(&region, "an asynchronous client after a set");
    let Response::Get(Some(value)) = ask(Request::Get { key: "k".into() }) else {
        panic!("the value is not there");
    };
    assert_eq!(value.len(), LONG);
    drop(value);
    expect_few(&region, "an asynchronous client after a get");

    let mut client = KvsClient::connect(server.addr).unwrap();
    client.set("k".to_owned(), "w".repeat(LONG)).unwrap();
    expect_few(&region, "a blocking client after a set");
    let value = client.get("k".to_owned()).unwrap();
    assert_eq!(value.map(|value| value.len()), Some(LONG));
    expect_few(&region, "a blocking client after a get");
}

struct Nothing;

impl Notify for Nothing {
    fn notify(&self, _: usize) {}
}

/// Counts the system calls of all threads of a process.
struct Calls {
    process: u32,
    counts: Arc<Mutex<BTreeMap<i64, usize>>>,
}

impl Calls {
    /// Starts to count.
    fn of(process: u32) -> Calls {
        let counts = Arc::default();
        let calls = Calls {
            process,
            counts: Arc::clone(&counts),
        };
        let threads = calls.threads();
        let (ready, is_ready) = mpsc::channel();
        // Only the thread that attaches to a thread can trace it.
        thread::spawn(move || {
            for thread in threads {
                let seized = ptrace::seize(thread, Options::PTRACE_O_TRACESYSGOOD);
                match seized.and_then(|()| ptrace::interrupt(thread)) {
                    // A thread may end before this one attaches to it.
                    Ok(()) | Err(Errno::ESRCH) => {}
                    Err(error) => panic!("a process cannot trace its child: {error}"),
                }
            }
            ready.send(()).unwrap();
            // This loop ends with the process.
            while let Ok(status) =
                waitpid(None, Some(WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD))
            {
                if let WaitStatus::PtraceSyscall(thread) = status
                    && let Some(call) = entered(process, thread)
                {
                    *counts.lock().entry(call).or_insert(0) += 1;
                }
                if let Some(thread) = status.pid() {
                    // This call fails for a thread that is ending.
                    let _ = ptrace::syscall(thread, None);
                }
            }
        });
        is_ready.recv().unwrap();
        calls
    }

    fn threads(&self) -> Vec<Pid> {
        let threads = fs::read_dir(format!("/proc/{}/task", self.process)).unwrap();
        let id = |name: OsString| name.to_str().unwrap().parse().unwrap();
        threads
            .map(|entry| Pid::from_raw(id(entry.unwrap().file_name())))
            .collect()
    }

    /// Waits until every thread sleeps.
    fn wait_until_idle(&self) {
        let is_idle = |thread: &Pid| {
            // A thread that has just ended has no such file, and is not listed again.
            let stat = fs::read_to_string(format!("/proc/{}/task/{thread}/stat", self.process));
            stat.is_ok_and(|stat| stat.rsplit_once(") ").unwrap().1.starts_with('S'))
        };
        while !self.threads().iter().all(is_idle) {
            thread::yield_now();
        }
    }

    /// Returns the number of calls of each kind that the server makes for these requests: to
    /// receive, to send, to write to a file, to wait for a thread or wake one, and all others.
    fn during(&self, server: &mut Wire, requests: &[&str]) -> [usize; 5] {
        let mut pipeline = Pipeline::new(requests);
        pipeline.exchange(server);
        self.wait_until_idle();
        self.counts.lock().clear();
        for _ in 0..TIMES {
            pipeline.exchange(server);
            self.wait_until_idle();
        }
        let mut counts = self.counts.lock();
        let mut of = |call| counts.remove(&call).unwrap_or(0).div_ceil(TIMES);
        let [received, sent] = [libc::SYS_recvfrom, libc::SYS_sendto].map(&mut of);
        let [written, waited] = [libc::SYS_pwrite64, libc::SYS_futex].map(&mut of);
        let others = counts.values().sum::<usize>().div_ceil(TIMES);
        [received, sent, written, waited, others]
    }
}

/// Returns the number of the system call that a stopped thread is about to make.
fn entered(process: u32, thread: Pid) -> Option<i64> {
    let info = ptrace::syscall_info(thread).ok()?;
    if info.op != libc::PTRACE_SYSCALL_INFO_ENTRY {
        return None;
    }
    let call = fs::read_to_string(format!("/proc/{process}/task/{thread}/syscall")).ok()?;
    call.split_once(' ')?.0.parse().ok()
}

#[test]
fn a_request_makes_no_more_system_calls_than_it_needs() {
    let _alone = ALONE.lock();
    let dir = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(dir.path(), &["--sync", "never"]);
    let mut client = Wire::connect(server.addr);
    client.send(r#"{"Set":{"key":"key","value":"value"}}"#);
    client.receive();
    let calls = Calls::of(server.id());

    let cases: [(&[&str], usize); 5] = [
        (&["get"], 0),
        (&["get"; 16], 0),
        (&["set"], 1),
        (&["set"; 16], 1),
        (&["set", "get"].repeat(8), 1),
    ];
    for (requests, writes) in cases {
        let [received, sent, written, waited, others] = calls.during(&mut client, requests);
        let counts = [received, sent, written, waited];
        assert_eq!(counts, [1, 1, writes, 0], "{requests:?}");
        // The server polls for events three times, and more often if time passes.
        assert!(others <= 5, "{requests:?}: {others}");
    }
}
