//! The value of `--addr`: a host and a port.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, ToSocketAddrs};
use std::str::FromStr;

/// A host, by name or by address, and a port.
#[derive(Debug, Clone)]
pub(crate) struct Host(String);

impl Host {
    /// Returns the addresses of the host, of which there is at least one. This may take as long as
    /// the system waits for its name servers.
    ///
    /// # Errors
    ///
    /// If the system does not know the name.
    pub(crate) fn addrs(&self) -> io::Result<Vec<SocketAddr>> {
        let addrs: Vec<_> = self.0.to_socket_addrs()?.collect();
        if addrs.is_empty() {
            return Err(ErrorKind::NotFound.into());
        }
        Ok(addrs)
    }
}

impl From<SocketAddr> for Host {
    fn from(addr: SocketAddr) -> Host {
        Host(addr.to_string())
    }
}

impl FromStr for Host {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Host, &'static str> {
        let is_named = text.rsplit_once(':').is_some_and(|(name, port)| {
            // An address of IPv6 has colons itself, so it needs brackets.
            !name.is_empty() && !name.contains([':', '[', ']']) && port.parse::<u16>().is_ok()
        });
        if is_named || text.parse::<SocketAddr>().is_ok() {
            return Ok(Host(text.to_owned()));
        }
        Err("give a host and a port, as in localhost:4000 or [::1]:4000")
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Tries the addresses of a host one after the other. Returns the first success, or the error of
/// the last address.
pub(crate) fn first_of<T, E>(
    addrs: &[SocketAddr],
    attempt: impl Fn(SocketAddr) -> Result<T, E>,
) -> Result<T, E> {
    let (last, others) = addrs.split_last().expect("a host has an address");
    let done = others.iter().find_map(|addr| attempt(*addr).ok());
    done.map_or_else(|| attempt(*last), Ok)
}
