//! Fails: many_clients_are_served_at_once: no answer for client 2 while client 1 is connected

use futures::sync::oneshot;
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
        let (sender, done) = oneshot::channel();
        tokio::spawn(echo(socket).then(|_| sender.send(())));
        done.then(|_| Ok(()))
    })
}
