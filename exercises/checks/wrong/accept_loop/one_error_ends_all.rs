//! Fails: a_connection_that_breaks_ends_alone: no answer after a connection broke

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
    let served = listener.incoming().map(echo);
    served.buffer_unordered(1000).for_each(Ok)
}
