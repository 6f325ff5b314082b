//! A client when the system has no threads or descriptors for a moment. The test changes the limits
//! of its process, so it is alone there.
#![cfg(target_os = "linux")]

mod common;

use std::fs::{self, File};
use std::sync::mpsc;
use std::thread;

use common::{PATIENCE, ServerProcess};
use futures::Future;
use kvs::client::connection::Connection;
use kvs::protocol::{Request, Response};
use kvs::{KvsError, Result};
use rlimit::Resource;

/// Runs `job` with a lower limit.
fn limited<T>(resource: Resource, limit: u64, job: impl FnOnce() -> T) -> T {
    let (usual, max) = resource.get().unwrap();
    resource.set(limit, max).unwrap();
    let result = job();
    resource.set(usual, max).unwrap();
    result
}

/// Returns how many bytes of its address space this process uses.
fn addresses() -> u64 {
    let pages = fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = pages.split(' ').next().unwrap().parse().unwrap();
    pages * 4096
}

#[test]
fn a_client_that_finds_no_thread_or_descriptor_fails_and_the_next_one_works() {
    let dir = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(dir.path(), &[]);
    let addr = server.addr;
    // Another thread sends the request, and this one limits the time.
    let (tell, told) = mpsc::channel();
    let (answer, answered) = mpsc::channel::<Result<Response>>();
    let (start, started) = mpsc::channel();
    thread::spawn(move || {
        start.send(()).unwrap();
        while let Ok(()) = told.recv() {
            let asked = Connection::open(addr).wait().and_then(|connection| {
                let (sent, reply) = connection.request(&Request::Get { key: "k".into() });
                sent.wait().and_then(|()| reply.wait())
            });
            answer.send(asked).unwrap();
        }
    });
    // A thread that starts maps memory of its own. Without room for it, the process would abort.
    started.recv_timeout(PATIENCE).unwrap();
    let ask = || {
        tell.send(()).unwrap();
        answered.recv_timeout(PATIENCE).expect("the client hangs")
    };

    // The address space has no room for the stack of another thread, and no finished thread has
    // left one.
    let room = 256 * 1024;
    let failed = limited(Resource::AS, addresses() + room, ask);
    assert!(matches!(failed, Err(KvsError::Io { .. })), "{failed:?}");

    // The thread can start, but there is no descriptor for its reactor.
    let failed = limited(Resource::NOFILE, 64, || {
        let taken: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
        assert!(!taken.is_empty());
        ask()
    });
    assert!(matches!(failed, Err(KvsError::Io { .. })), "{failed:?}");

    for _ in 0..2 {
        assert!(matches!(ask(), Ok(Response::Get(None))));
    }
}
