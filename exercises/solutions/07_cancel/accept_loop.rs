// `for_each` waits for the future of its closure before it asks for the next item. So that future
// completes at once, `Ok(())`, and the connection is a task of its own, which the executor polls.
//
// A task has no caller, so its error ends here. If it went back into `for_each`, one broken
// connection would end the accept loop, and the server with it.

use futures::{Future, Stream};
use tokio::io::{self, AsyncRead};
use tokio::net::{TcpListener, TcpStream};

fn main() {}

/// Sends back the bytes that it receives, until the peer closes the connection.
fn echo(socket: TcpStream) -> impl Future<Item = (), Error = io::Error> {
    let (reader, writer) = socket.split();
    io::copy(reader, writer).map(drop)
}

/// Serves all connections at once. A connection that breaks ends alone.
fn serve(listener: TcpListener) -> impl Future<Item = (), Error = io::Error> {
    listener.incoming().for_each(|socket| {
        let served = echo(socket);
        tokio::spawn(served.map_err(|error| eprintln!("a connection broke: {error}")));
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpStream};
    use std::thread;
    use std::time::Duration;
    use support::within_time;
    use tokio::runtime::current_thread;

    /// Starts a server on a thread.
    fn start() -> SocketAddr {
        let listener = TcpListener::bind(&([127, 0, 0, 1], 0).into()).unwrap();
        let addr = listener.local_addr().unwrap();
        thread::spawn(|| current_thread::block_on_all(serve(listener)));
        addr
    }

    fn connect(addr: SocketAddr) -> io::Result<TcpStream> {
        let socket = TcpStream::connect(addr)?;
        // Far more than an answer needs.
        socket.set_read_timeout(Some(Duration::from_secs(5)))?;
        Ok(socket)
    }

    /// Returns whether the server sends back a byte.
    fn answers(socket: &mut TcpStream) -> bool {
        socket.write_all(b"?").is_ok() && socket.read(&mut [0]).is_ok_and(|len| len == 1)
    }

    #[test]
    fn a_client_is_answered() {
        within_time(|| assert!(answers(&mut connect(start()).unwrap()), "no answer"));
    }

    #[test]
    fn many_clients_are_served_at_once() {
        within_time(|| {
            let addr = start();
            let _first = connect(addr).unwrap();
            let mut others: Vec<_> = (0..20).map(|_| connect(addr).unwrap()).collect();
            for (n, socket) in others.iter_mut().enumerate() {
                let n = n + 2;
                assert!(
                    answers(socket),
                    "no answer for client {n} while client 1 is connected"
                );
            }
        });
    }

    #[test]
    fn a_connection_that_breaks_ends_alone() {
        within_time(|| {
            let addr = start();
            let mut broken = connect(addr).unwrap();
            broken.write_all(b"?").unwrap();
            broken.peek(&mut [0]).unwrap();
            // The system resets a connection that is closed before its bytes were read.
            drop(broken);
            for _ in 0..10 {
                // A server that has ended refuses the connection, resets it or closes it.
                let is_answered = connect(addr).is_ok_and(|mut socket| answers(&mut socket));
                assert!(is_answered, "no answer after a connection broke");
            }
        });
    }
}
