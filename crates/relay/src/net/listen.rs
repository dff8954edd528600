//! Listening sockets as the relay wants them.
//!
//! Options that Linux copies from a listening socket to the sockets it accepts (TCP_NODELAY and the
//! keep-alive settings, see `inet_csk_clone_lock` and `sk_clone_lock`; the congestion control, see
//! `congestion.rs`) are set here once, so that an accepted link costs no setsockopt(2) at all. The sizes
//! of queues are handed on, too (`queues.rs`), and are the loop's to set.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

use crate::net::congestion::{is_paced, unpace};

/// Length of the accept queue asked for; the kernel caps it at `net.core.somaxconn`.
///
/// Clients wait there while accepting is paused or the loop is busy, instead of losing their SYNs.
pub const BACKLOG: i32 = 4096;

/// The time after which a peer that has vanished without a FIN or RST is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keepalive {
    /// Silence before the first probe.
    pub idle: Duration,
    /// Time between probes.
    pub interval: Duration,
    /// Probes without an answer before the connection is given up.
    pub probes: u32,
}

impl Default for Keepalive {
    /// A vanished peer is found after 60 s + 6 x 10 s.
    fn default() -> Self {
        Self { idle: Duration::from_secs(60), interval: Duration::from_secs(10), probes: 6 }
    }
}

impl Keepalive {
    /// Sets the probes on `socket`.
    ///
    /// TCP_USER_TIMEOUT is left alone: Linux (`tcp_probe_timer`) applies it to a peer that answers
    /// every probe of its closed window, too, and would end a reader that only pauses. A peer that
    /// vanishes while bytes are on their way to it is found by `tcp_retries2`, in about 15 minutes.
    ///
    /// # Errors
    /// When setsockopt(2) refuses a number.
    pub fn apply(&self, socket: SockRef<'_>) -> io::Result<()> {
        let probing = TcpKeepalive::new()
            .with_time(self.idle)
            .with_interval(self.interval)
            .with_retries(self.probes);
        socket.set_tcp_keepalive(&probing)
    }
}

/// Options of a listening socket.
#[derive(Debug, Clone, Copy, Default)]
pub struct ListenOptions {
    /// Share the port with the listeners of other loops (SO_REUSEPORT): the kernel then spreads
    /// the clients over them.
    pub reuse_port: bool,
    /// Keep-alive of the accepted sockets.
    pub keepalive: Keepalive,
}

/// A listening stream socket of any family that a loop can accept from.
#[derive(Debug)]
pub struct Listener(pub(crate) OwnedFd);

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self(listener.into())
    }
}

impl From<OwnedFd> for Listener {
    fn from(listener: OwnedFd) -> Self {
        Self(listener)
    }
}

/// An address that is bound and not listened on yet: whoever connects to it is refused.
#[derive(Debug)]
pub struct Reserved(Socket);

impl Reserved {
    /// The address, with the port that the kernel chose if it was asked to.
    ///
    /// # Errors
    /// Those of getsockname(2).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()?.as_socket().ok_or_else(|| io::ErrorKind::Unsupported.into())
    }

    /// Listens on it.
    ///
    /// # Errors
    /// Those of listen(2): EADDRINUSE where another socket with SO_REUSEADDR, as ours has it, has been
    /// bound to the address as well and was quicker (socket(7)).
    pub fn listen(self) -> io::Result<TcpListener> {
        self.0.listen(BACKLOG)?;
        Ok(self.0.into())
    }
}

/// Binds and listens on `address`, as [`reserve`] and [`Reserved::listen`] do.
///
/// # Errors
/// Those of both, EADDRINUSE and EACCES among them.
pub fn listen(address: SocketAddr, options: ListenOptions) -> io::Result<TcpListener> {
    reserve(address, options)?.listen()
}

/// Binds to `address`; port 0 lets the kernel choose.
///
/// IPv6 sockets are IPv6 only, so that `127.0.0.1` and `::1` can be listened on side by side.
///
/// # Errors
/// Those of socket(2) and bind(2), EADDRINUSE where somebody listens there and EACCES among them.
pub fn reserve(address: SocketAddr, options: ListenOptions) -> io::Result<Reserved> {
    // A socket for IPv6 only cannot be bound to an IPv4 address in the notation of IPv6.
    let address = match address.ip().to_canonical() {
        IpAddr::V4(ip) => SocketAddr::from((ip, address.port())),
        IpAddr::V6(_) => address,
    };
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    if options.reuse_port {
        socket.set_reuse_port(true)?;
    }
    socket.set_tcp_nodelay(true)?;
    options.keepalive.apply(SockRef::from(&socket))?;
    if address.ip().is_loopback() && is_paced(&socket) {
        unpace(&socket);
    }
    socket.bind(&address.into())?;
    Ok(Reserved(socket))
}
