//! The listening sockets of a loop, and when they accept.
//!
//! A listener is edge-triggered like everything else: once it has reported, it is accepted from
//! until EAGAIN, a few clients in each turn so that links that exist go on moving. When accept(2)
//! finds no descriptor or memory left, all listeners pause: the clients wait in the backlog, where
//! nothing spins, and accepting goes on when a link has ended or a short time has passed and the
//! reserve of descriptors is full again.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use mio::net::TcpListener;
use nix::errno::Errno;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use socket2::{Domain, SockRef, Socket};

use crate::net::listen::Listener;
use crate::net::queues::{self, Queues};
use crate::table::Key;

/// Clients accepted from one listener in one turn.
pub(crate) const ACCEPTS_PER_TURN: usize = 16;

/// The time between two looks of a paused loop whether it can accept again although no link has ended: another
/// process may have given descriptors or memory back.
pub(crate) const PAUSE_TICK: Duration = Duration::from_millis(100);

/// One listening socket.
#[derive(Debug)]
pub(crate) struct Acceptor {
    socket: Listening,
    /// Its address, if it is one of IP.
    pub(crate) local: Option<SocketAddr>,
    /// Whose clients it accepts.
    pub(crate) service: Key,
    /// There may be clients in its queue.
    pub(crate) ready: bool,
}

/// A listening socket by the way it is accepted from.
#[derive(Debug)]
enum Listening {
    /// TCP: accept4(2) makes the socket non-blocking, too.
    Ip(TcpListener),
    /// Unix, vsock and whatever else there is.
    Other(Socket),
}

/// The result of one accept(2).
#[derive(Debug)]
pub(crate) enum Accept {
    Client(OwnedFd, Option<SocketAddr>),
    /// The queue is empty.
    Empty,
    /// This client was lost, the next may be fine.
    Skip(io::Error),
    /// The process or the system has run out of something.
    Exhausted(io::Error),
}

impl Listening {
    fn accept(&self) -> io::Result<(OwnedFd, Option<SocketAddr>)> {
        match self {
            Self::Ip(listener) => listener
                .accept()
                .map(|(stream, client)| (std::net::TcpStream::from(stream).into(), Some(client))),
            Self::Other(listener) => {
                let (stream, client) = listener.accept()?;
                stream.set_nonblocking(true)?;
                Ok((stream.into(), client.as_socket()))
            }
        }
    }
}

impl AsFd for Acceptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.socket {
            Listening::Ip(listener) => listener.as_fd(),
            Listening::Other(listener) => listener.as_fd(),
        }
    }
}

impl Acceptor {
    /// Makes a listener non-blocking and ready to be accepted from for `service`.
    pub(crate) fn new(listener: Listener, service: Key) -> io::Result<Self> {
        let socket = SockRef::from(&listener.0);
        socket.set_nonblocking(true)?;
        let local = socket.local_addr()?.as_socket();
        let is_ip = matches!(socket.domain()?, Domain::IPV4 | Domain::IPV6);
        let socket = if is_ip {
            Listening::Ip(TcpListener::from_std(std::net::TcpListener::from(listener.0)))
        } else {
            Listening::Other(listener.0.into())
        };
        Ok(Self { socket, local, service, ready: false })
    }

    /// Sizes the queues of those that are accepted from now on. Whoever comes over a network is left to
    /// the node's tuning, as are all where the kernel grants too little.
    pub(crate) fn confine(&self, queues: Queues) {
        let sizes = match queues {
            Queues::Tuned => return,
            Queues::Ample => queues::NEAR,
            Queues::Least => queues::LEAST,
        };
        if self.local.is_some_and(queues::is_sized_at) {
            queues::confine(self, sizes);
        }
    }

    /// Accepts one client, and finds out whether there is another.
    pub(crate) fn accept(&mut self) -> Accept {
        let error = match self.socket.accept() {
            Ok((stream, client)) => {
                self.ready = self.has_another();
                return Accept::Client(stream, client);
            }
            Err(error) => error,
        };
        match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::EAGAIN) => {
                self.ready = false;
                Accept::Empty
            }
            Some(errno) if is_of_client(errno) => Accept::Skip(error),
            // EMFILE, ENFILE, ENOBUFS, ENOMEM; and whatever else may come, so that an error that
            // stays makes the loop wait rather than spin.
            _ => Accept::Exhausted(error),
        }
    }

    /// Returns whether another client waits. After a client has been accepted this is asked with
    /// poll(2), because an accept(2) that finds nobody has allocated a socket, a file and a
    /// descriptor before it looks, and costs ten times as much (2.6 us against 0.28 us).
    fn has_another(&self) -> bool {
        let mut fds = [PollFd::new(self.as_fd(), PollFlags::POLLIN)];
        // An error here would be one of accept(2), too, which then tells it.
        poll(&mut fds, PollTimeout::ZERO) != Ok(0)
    }
}

/// Returns whether this error of accept(2) concerns one client only: those that are handed on from
/// the connection that was about to be accepted, and EPERM of a firewall.
pub fn is_of_client(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::ECONNABORTED
            | Errno::EPROTO
            | Errno::EPERM
            | Errno::ENOPROTOOPT
            | Errno::EOPNOTSUPP
            | Errno::ENETDOWN
            | Errno::ENETUNREACH
            | Errno::EHOSTDOWN
            | Errno::EHOSTUNREACH
            | Errno::ENONET
            | Errno::EINTR
    )
}

/// The readiness of a loop to accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    Open,
    Paused { since: Instant, next_try: Instant },
}
