//! Running futures, time, sockets and files.

use std::io;
use std::time::Instant;

use futures::future;
use futures::{Future, Sink, Stream};
use tokio::codec::LinesCodec;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

use super::{ms, numbers, seven};

// Running.

#[test]
fn block_on_one() {
    let n = seven().wait();
    assert_eq!(n, Ok(7));
}

#[test]
fn block_on_a_stream() {
    let all: Result<Vec<u32>, String> = numbers().wait().collect();
    assert_eq!(all, Ok(vec![1, 2, 3]));
}

#[test]
fn a_whole_program() {
    tokio::run(future::lazy(|| {
        tokio::spawn(future::ok(()));
        Ok(())
    }));
}

#[test]
fn a_runtime() {
    let mut runtime = Runtime::new().unwrap();
    let n = runtime.block_on(seven());
    assert_eq!(n, Ok(7));
}

#[test]
fn a_runtime_of_one_thread() {
    let mut runtime = tokio::runtime::current_thread::Runtime::new().unwrap();
    let n = runtime.block_on(seven());
    assert_eq!(n, Ok(7));
}

#[test]
fn spawn() {
    let mut runtime = Runtime::new().unwrap();
    let program = future::lazy(|| {
        tokio::spawn(seven().map(drop).map_err(drop));
        Ok::<_, String>(())
    });
    assert_eq!(runtime.block_on(program), Ok(()));
}

#[test]
fn spawn_and_wait_for_it() {
    let mut runtime = Runtime::new().unwrap();
    let task = futures::sync::oneshot::spawn(seven(), &runtime.executor());
    assert_eq!(runtime.block_on(task), Ok(7));
}

#[test]
fn work_that_blocks() {
    let mut runtime = Runtime::new().unwrap();
    let n = future::poll_fn(|| tokio_threadpool::blocking(|| 7));
    assert_eq!(runtime.block_on(n).unwrap(), 7);
}

// Time.

#[test]
fn sleep() {
    let mut runtime = Runtime::new().unwrap();
    let slept = tokio::timer::Delay::new(Instant::now() + ms(1));
    runtime.block_on(slept).unwrap();
}

#[test]
fn again_and_again() {
    let mut runtime = Runtime::new().unwrap();
    let ticks = tokio::timer::Interval::new(Instant::now(), ms(1));
    let two = ticks.take(2).collect();
    assert_eq!(runtime.block_on(two).unwrap().len(), 2);
}

#[test]
fn not_for_ever() {
    let mut runtime = Runtime::new().unwrap();
    let in_time = tokio::timer::Timeout::new(future::empty::<(), ()>(), ms(1));
    assert!(runtime.block_on(in_time).unwrap_err().is_elapsed());
}

// Sockets and files.

#[test]
fn connect() {
    let mut runtime = Runtime::new().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let connected = TcpStream::connect(&addr);
    runtime.block_on(connected).unwrap();
}

#[test]
fn accept() {
    let mut runtime = Runtime::new().unwrap();
    let listener = TcpListener::bind(&([127, 0, 0, 1], 0).into()).unwrap();
    let _socket = std::net::TcpStream::connect(listener.local_addr().unwrap());
    let accepted = listener.incoming().into_future();
    let accepted = accepted.map(|(socket, _rest)| socket);
    let accepted = runtime.block_on(accepted.map_err(|(error, _rest)| error));
    assert!(accepted.unwrap().is_some());
}

#[test]
fn write_and_read() {
    let socket = io::Cursor::new(Vec::new()); // stands in for one
    let written = tokio::io::write_all(socket, b"hello");
    let (mut socket, _) = written.wait().unwrap();
    socket.set_position(0);
    let read = tokio::io::read_exact(socket, [0; 5]);
    let (_socket, bytes) = read.wait().unwrap();
    assert_eq!(&bytes, b"hello");
}

#[test]
fn frames() {
    let mut runtime = Runtime::new().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let socket = TcpStream::connect(&listener.local_addr().unwrap());
    let lines = socket.map(|socket| tokio::codec::Framed::new(socket, LinesCodec::new()));
    let sent = lines
        .from_err()
        .and_then(|lines| lines.send("hi".to_owned()));
    runtime
        .block_on(sent.map_err(|error: io::Error| error))
        .unwrap();
}

#[test]
fn read_a_file() {
    let mut runtime = Runtime::new().unwrap();
    let text = tokio_fs::read("Cargo.toml");
    assert!(!runtime.block_on(text).unwrap().is_empty());
}
