//! A server that keeps nothing and writes nothing: it makes each reply from its request alone. What
//! it reaches is the limit of the machine and of the load, which a server with data cannot pass.

use std::io;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token};

use super::common;
use super::load::DIGITS;
use super::socket::Socket;

/// The argument that makes the benchmark this server. The number of bytes of a value follows.
pub const FLAG: &str = "--limit";

/// The server as a separate process, so that its processor time is known. Dropping this kills it.
pub struct Limit {
    pub addr: SocketAddr,
    child: Child,
}

impl Limit {
    pub fn start(value_bytes: usize) -> io::Result<Limit> {
        let mut child = Command::new(std::env::current_exe()?)
            .args([FLAG, &value_bytes.to_string()])
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().expect("it is a pipe");
        let line = io::BufRead::lines(io::BufReader::new(stdout)).next();
        let addr = line.expect("the server prints its address")?;
        let addr = addr.parse().map_err(io::Error::other)?;
        Ok(Limit { addr, child })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Prints the address, and serves for ever.
pub fn serve(value_bytes: usize) -> io::Result<()> {
    const LISTENER: Token = Token(usize::MAX);
    let mut listener = TcpListener::bind(common::ANY_PORT)?;
    println!("{}", listener.local_addr()?);
    io::stdout().flush()?;
    let mut poll = Poll::new()?;
    let registry = poll.registry().try_clone()?;
    registry.register(&mut listener, LISTENER, Interest::READABLE)?;
    let padding = "x".repeat(value_bytes - DIGITS);
    let mut sockets: Vec<Option<Socket>> = Vec::new();
    let mut events = Events::with_capacity(1024);
    let mut chunk = vec![0; 64 * 1024];
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            if event.token() == LISTENER {
                while let Ok((stream, _)) = listener.accept() {
                    sockets.push(Some(Socket::new(stream, &registry, sockets.len())?));
                }
                continue;
            }
            let Token(n) = event.token();
            if let Some(socket) = &mut sockets[n] {
                let end = socket.receive(&mut chunk);
                answer(socket, &padding);
                if socket.send().and(end).is_err() {
                    sockets[n] = None;
                }
            }
        }
    }
}

/// Answers all requests that have arrived.
fn answer(socket: &mut Socket, padding: &str) {
    let Socket { input, output, .. } = socket;
    let mut taken = 0;
    while let Some(len) = input[taken..].first_chunk() {
        let len = u32::from_be_bytes(*len) as usize;
        let Some(request) = input[taken + 4..].get(..len) else {
            break;
        };
        if request.starts_with(br#"{"Get""#) {
            // The key ends with the number that its value begins with.
            let digits = &request[len - DIGITS - br#""}}"#.len()..][..DIGITS];
            let parts = [br#"{"Get":""#, digits, padding.as_bytes(), br#""}"#];
            reply(output, &parts);
        } else {
            reply(output, &[br#""Set""#]);
        }
        taken += 4 + len;
    }
    input.drain(..taken);
}

fn reply(output: &mut Vec<u8>, parts: &[&[u8]]) {
    let len: usize = parts.iter().map(|part| part.len()).sum();
    output.extend_from_slice(&(len as u32).to_be_bytes());
    parts.iter().for_each(|part| output.extend_from_slice(part));
}
