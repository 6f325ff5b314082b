//! The options that both ends of a connection set on its socket.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use log::debug;
use socket2::{Domain, SockRef, Socket, TcpKeepalive, Type};

/// How long a peer may be silent before the system sends a keepalive probe. A peer that has lost
/// its power or its network does not close the connection.
const SILENCE: Duration = Duration::from_secs(60);

/// The time between two probes.
const INTERVAL: Duration = Duration::from_secs(10);

/// The number of probes before the system closes the connection.
const PROBES: u32 = 3;

/// How long a peer may leave data unacknowledged and probes unanswered before the system closes the
/// connection. The system sends no probes while data is unacknowledged. Without this limit, it
/// would send the data again for a quarter of an hour.
pub(crate) const LOST: Duration = Duration::from_secs(90);

/// Makes `socket` send without delay, and close the connection when the peer has vanished for
/// `lost`. A connection works without these options, so one that the system refuses is no error.
pub(crate) fn set_options<'a>(socket: impl Into<SockRef<'a>>, lost: Duration) {
    let socket = socket.into();
    let keepalive = TcpKeepalive::new()
        .with_time(SILENCE)
        .with_interval(INTERVAL)
        .with_retries(PROBES);
    let results = [
        ("TCP_NODELAY", socket.set_tcp_nodelay(true)),
        ("SO_KEEPALIVE", socket.set_tcp_keepalive(&keepalive)),
        #[cfg(any(target_os = "linux", target_os = "android"))]
        ("TCP_USER_TIMEOUT", socket.set_tcp_user_timeout(Some(lost))),
    ];
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = lost;
    for (option, result) in results {
        if let Err(error) = result {
            debug!("cannot set {option} on a socket: {error}");
        }
    }
}

/// Creates a socket to connect to `addr`.
pub(crate) fn socket(addr: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None)?;
    set_options(&socket, LOST);
    Ok(socket.into())
}

/// Refuses a socket that is connected to itself.
///
/// The system chooses the port of a client from a range in which servers may listen, too. If no
/// server listens, it may choose the very port that the client connects to. Then the client would
/// hold the port of the server, which could not start.
pub(crate) fn check_connected<S: Connected>(socket: &S) -> io::Result<()> {
    if socket.local_addr()? != socket.peer_addr()? {
        return Ok(());
    }
    // After an ordinary close, the system would hold the port for a minute.
    socket.reset_on_close()?;
    Err(ErrorKind::ConnectionRefused.into())
}

/// The methods that the sockets of the standard library and of tokio have in common.
pub(crate) trait Connected {
    fn local_addr(&self) -> io::Result<SocketAddr>;
    fn peer_addr(&self) -> io::Result<SocketAddr>;
    fn reset_on_close(&self) -> io::Result<()>;
}

impl Connected for TcpStream {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.local_addr()
    }

    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.peer_addr()
    }

    fn reset_on_close(&self) -> io::Result<()> {
        SockRef::from(self).set_linger(Some(Duration::ZERO))
    }
}

impl Connected for tokio::net::TcpStream {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.local_addr()
    }

    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.peer_addr()
    }

    fn reset_on_close(&self) -> io::Result<()> {
        self.set_linger(Some(Duration::ZERO))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::net::{Ipv4Addr, TcpListener};
    use std::os::unix::net::UnixStream;

    use super::*;

    /// Returns a socket that is connected to itself. A client that retries often enough gets one.
    pub(crate) fn connected_to_itself() -> TcpStream {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        socket.bind(&any_port.into()).unwrap();
        let addr = socket.local_addr().unwrap();
        socket.connect(&addr).unwrap();
        socket.into()
    }

    #[test]
    fn a_socket_that_is_connected_to_itself_is_refused_and_leaves_its_port() {
        let is_left = || {
            let socket = connected_to_itself();
            let addr = TcpStream::local_addr(&socket).unwrap();
            let refused = check_connected(&socket).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
            drop(socket);
            // A listener of the standard library may take a port that is still held.
            let server = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            server.bind(&addr.into()).ok()?;
            server.listen(1).unwrap();
            let client = TcpStream::connect(addr).unwrap();
            check_connected(&client).unwrap();
            Some(())
        };
        // Another test may get the port first, but not each time.
        assert!((0..5).any(|_| is_left().is_some()));
    }

    /// A socket that is not TCP stands for a system without these options.
    #[test]
    fn an_option_that_the_system_refuses_does_not_prevent_the_others() {
        let (socket, _peer) = UnixStream::pair().unwrap();
        SockRef::from(&socket).set_tcp_nodelay(true).unwrap_err();
        set_options(&socket, LOST);
        assert!(SockRef::from(&socket).keepalive().unwrap());
    }

    #[test]
    fn both_ends_notice_a_peer_that_vanished() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        set_options(&listener, LOST);
        let addr = listener.local_addr().unwrap();
        let client = socket(addr).unwrap();
        SockRef::from(&client).connect(&addr.into()).unwrap();
        // An accepted socket has the options of its listener.
        let (server, _) = listener.accept().unwrap();
        for end in [&client, &server].map(SockRef::from) {
            assert!(end.tcp_nodelay().unwrap());
            assert!(end.keepalive().unwrap());
            assert_eq!(end.tcp_keepalive_time().unwrap(), SILENCE);
            assert_eq!(end.tcp_keepalive_interval().unwrap(), INTERVAL);
            assert_eq!(end.tcp_keepalive_retries().unwrap(), PROBES);
            #[cfg(target_os = "linux")]
            assert_eq!(end.tcp_user_timeout().unwrap(), Some(LOST));
        }
        // The probes end about when the connection is closed.
        assert_eq!(SILENCE + INTERVAL * PROBES, LOST);
    }
}
