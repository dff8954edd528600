//! Dialers: the addresses that clients connect to, and the origin of their sockets.
//!
//! A socket stays in the network namespace it was born in. Whoever measures a relay in another
//! namespace gives the way sockets are born there; the connect itself happens from here. How long
//! the birth took is not the relay's doing, so the clock of a connection starts after it.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use nix::errno::Errno;
use socket2::{Domain, Protocol, Socket, Type};

use super::failure::Failure;

/// Makes a TCP socket of a domain, wherever it does so.
type Birth<'a> = Box<dyn Fn(Domain) -> io::Result<Socket> + 'a>;

/// Opens connections to one address.
pub(crate) struct Dialer<'a> {
    address: SocketAddr,
    birth: Birth<'a>,
}

impl<'a> Dialer<'a> {
    /// Connects to `address` from the namespace of this thread.
    pub(crate) fn here(address: SocketAddr) -> Self {
        Self::with_birth(address, |domain| Socket::new(domain, Type::STREAM, Some(Protocol::TCP)))
    }

    /// Connects to `address` from where `birth` makes its sockets.
    pub(crate) fn with_birth(
        address: SocketAddr,
        birth: impl Fn(Domain) -> io::Result<Socket> + 'a,
    ) -> Self {
        Self { address, birth: Box::new(birth) }
    }

    /// Returns the address it connects to.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Starts a connection, and says when: just before connect(2).
    ///
    /// # Errors
    /// With the reason that is hidden behind `EADDRNOTAVAIL`, which is the one people meet here.
    pub(crate) fn connect(&self) -> Result<(TcpStream, Instant), Failure> {
        let failed = |error| Failure::system(format!("connect to {}", self.address), error);
        let socket = self.socket().map_err(failed)?;
        socket.set_nonblocking(true).map_err(failed)?;
        let begun = Instant::now();
        match socket.connect(&self.address.into()) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(Errno::EINPROGRESS as i32) => {}
            Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {
                return Err(Failure::Relay(format!(
                    "no local port is left to connect to {}; is net.ipv4.tcp_tw_reuse off?",
                    self.address
                )))
            }
            Err(error) => return Err(failed(error)),
        }
        Ok((TcpStream::from_std(socket.into()), begun))
    }

    /// Connects and waits for it, at most `patience`; the stream blocks.
    ///
    /// # Errors
    /// What connect(2) answers, and that there was no answer in time.
    pub(crate) fn connect_blocking(&self, patience: Duration) -> io::Result<std::net::TcpStream> {
        let socket = self.socket()?;
        socket.connect_timeout(&self.address.into(), patience)?;
        socket.set_nonblocking(false)?;
        Ok(socket.into())
    }

    fn socket(&self) -> io::Result<Socket> {
        let socket = (self.birth)(Domain::for_address(self.address))?;
        socket.set_tcp_nodelay(true)?;
        Ok(socket)
    }
}

impl fmt::Debug for Dialer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialer").field("address", &self.address).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nsplice_testkit::Namespace;
    use std::io::Read;
    use std::net::TcpListener;

    #[test]
    fn sockets_come_from_where_they_are_born() {
        let Some(namespace) = Namespace::for_test("sockets_come_from_where_they_are_born") else {
            return;
        };
        let listener = namespace.inside(|| TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        assert!(Dialer::here(address).connect_blocking(Duration::from_secs(5)).is_err());
        let inside = Dialer::with_birth(address, |domain| {
            namespace.inside(|| Socket::new(domain, Type::STREAM, None))
        });
        let mut client = inside.connect_blocking(Duration::from_secs(5)).unwrap();
        drop(listener.accept().unwrap());
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
        let (client, _) = inside.connect().unwrap();
        assert_eq!(listener.accept().unwrap().1.port(), client.local_addr().unwrap().port());
    }
}
