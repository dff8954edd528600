//! The listening sockets of a loop, and when they accept.
//!
//! A listener is edge-triggered like everything else: once it has reported, it is accepted from
//! until EAGAIN, a few clients in each turn so that links that exist go on moving. When accept(2)
//! finds no descriptor or memory left, all listeners pause: the clients wait in the backlog, where
//! nothing spins, and accepting goes on when a link has ended or a short time has passed and the
//! reserve of descriptors is full again.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use nix::errno::Errno;

/// Clients accepted from one listener in one turn.
pub(crate) const ACCEPTS_PER_TURN: usize = 16;

/// How often a paused loop looks whether it can accept again although no link has ended: another
/// process may have given descriptors or memory back.
pub(crate) const PAUSE_TICK: Duration = Duration::from_millis(100);

/// One listening socket.
#[derive(Debug)]
pub(crate) struct Acceptor {
    pub(crate) socket: TcpListener,
    pub(crate) local: SocketAddr,
    pub(crate) forward: usize,
    /// There may be clients in its queue.
    pub(crate) ready: bool,
}

/// What one accept(2) gave.
#[derive(Debug)]
pub(crate) enum Accept {
    Client(TcpStream, SocketAddr),
    /// The queue is empty.
    Empty,
    /// This client was lost, the next may be fine.
    Skip(io::Error),
    /// The process or the system has run out of something.
    Exhausted(io::Error),
}

impl Acceptor {
    pub(crate) fn accept(&self) -> Accept {
        let error = match self.socket.accept() {
            Ok((stream, client)) => return Accept::Client(stream, client),
            Err(error) => error,
        };
        match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::EAGAIN) => Accept::Empty,
            Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM) => {
                Accept::Exhausted(error)
            }
            // accept(2) hands on errors of the connection that was about to be accepted
            // (ECONNABORTED, EPROTO, ENETDOWN, ...) and EPERM of a firewall: all of them concern
            // one client. EINTR: simply the next try.
            _ => Accept::Skip(error),
        }
    }
}

/// Whether a loop accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    Open,
    Paused { since: Instant, next_try: Instant },
}
