//! Running futures, time, sockets and files.

use std::future;
use std::io;

use futures::SinkExt;
use futures::executor::{block_on, block_on_stream};
use futures03 as futures;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_util::codec::LinesCodec;
use tokio1 as tokio;

use super::{ms, numbers, seven};

// Running.

#[test]
fn block_on_one() {
    let n = block_on(seven());
    assert_eq!(n, Ok(7));
}

#[test]
fn block_on_a_stream() {
    let all: Result<Vec<u32>, String> = block_on_stream(numbers()).collect();
    assert_eq!(all, Ok(vec![1, 2, 3]));
}

#[test]
fn a_whole_program() {
    #[tokio::main]
    async fn main() {
        let task = tokio::spawn(async {});
        task.await.unwrap(); // otherwise the end of `main` is the end of the task
    }
    main();
}

#[test]
fn a_runtime() {
    let runtime = Runtime::new().unwrap();
    let n = runtime.block_on(seven());
    assert_eq!(n, Ok(7));
}

#[test]
fn a_runtime_of_one_thread() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let n = runtime.block_on(seven());
    assert_eq!(n, Ok(7));
}

#[test]
fn spawn() {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        tokio::spawn(seven());
    });
}

#[test]
fn spawn_and_wait_for_it() {
    let runtime = Runtime::new().unwrap();
    let task = runtime.spawn(seven());
    assert_eq!(runtime.block_on(task).unwrap(), Ok(7));
}

#[test]
fn work_that_blocks() {
    let runtime = Runtime::new().unwrap();
    let n = async { tokio::task::spawn_blocking(|| 7).await };
    assert_eq!(runtime.block_on(n).unwrap(), 7);
}

// Time.

#[tokio::test]
async fn sleep() {
    let slept = tokio::time::sleep(ms(1));
    slept.await;
}

#[tokio::test]
async fn again_and_again() {
    let mut ticks = tokio::time::interval(ms(1));
    ticks.tick().await;
    ticks.tick().await;
}

#[tokio::test]
async fn not_for_ever() {
    let in_time = tokio::time::timeout(ms(1), future::pending::<()>());
    assert!(in_time.await.is_err());
}

// Sockets and files.

#[tokio::test]
async fn connect() -> io::Result<()> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let addr = listener.local_addr()?;
    let _socket = TcpStream::connect(addr).await?;
    Ok(())
}

#[tokio::test]
async fn accept() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let _socket = std::net::TcpStream::connect(listener.local_addr()?)?;
    let (_accepted, _addr) = listener.accept().await?;
    Ok(())
}

#[tokio::test]
async fn write_and_read() -> io::Result<()> {
    let (mut socket, mut peer) = tokio::io::duplex(16); // stand in for two
    socket.write_all(b"hello").await?;
    let mut bytes = [0; 5];
    peer.read_exact(&mut bytes).await?;
    assert_eq!(&bytes, b"hello");
    Ok(())
}

#[tokio::test]
async fn frames() {
    let (socket, _peer) = tokio::io::duplex(16);
    let mut lines = tokio_util::codec::Framed::new(socket, LinesCodec::new());
    lines.send("hi").await.unwrap();
}

#[tokio::test]
async fn read_a_file() -> io::Result<()> {
    let text = tokio::fs::read("Cargo.toml").await?;
    assert!(!text.is_empty());
    Ok(())
}
