//! Sockets as the load needs them: opened, filled and emptied without blocking and without touching
//! payload.
//!
//! Kernel facts used here:
//! - `recv` with `MSG_TRUNC` on TCP takes bytes off the receive queue without copying them, and
//!   returns their number.
//! - Buffer sizes are left to the kernel: setting them would switch off the autotuning that real
//!   programs get.
//! - `TCP_NODELAY` is on at both ends, so that a reply is never held back by Nagle waiting for a
//!   delayed ACK.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd;
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Events, Poll};
use nix::sys::resource::{getrlimit, setrlimit, Resource};
use nix::sys::socket::{recv, MsgFlags};
use socket2::{Domain, Protocol, Socket, Type};

use super::failure::Failure;

/// The bytes that are sent. 128 KiB makes system calls rare and still stays in a second-level
/// cache.
static PAYLOAD: [u8; 128 * 1024] = [b'.'; 128 * 1024];

/// Most bytes dropped by one `recv`. No copy is made, so only the time away from other sockets
/// limits it.
const DISCARD: usize = 1024 * 1024;

/// Connections waiting to be accepted; one process also opens them, so bursts are all there is.
const BACKLOG: i32 = 4096;

/// The result of one attempt to move bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Movement {
    /// This many bytes moved.
    Moved(usize),
    /// Nothing can move now; an event will tell.
    Blocked,
    /// The other side has sent its FIN.
    Ended,
}

/// Somewhere for `recv` to pretend to write to.
#[derive(Debug)]
pub(crate) struct Bin {
    // MSG_TRUNC never writes it, so these zero pages are never even backed by memory.
    space: Vec<u8>,
}

impl Default for Bin {
    fn default() -> Self {
        Self { space: vec![0; DISCARD] }
    }
}

impl Bin {
    /// Drops what `stream` has received, once.
    ///
    /// # Errors
    /// What `recv` answers, except that it would block.
    pub(crate) fn discard(&mut self, stream: &TcpStream) -> io::Result<Movement> {
        loop {
            match recv(stream.as_raw_fd(), &mut self.space, MsgFlags::MSG_TRUNC) {
                Ok(0) => return Ok(Movement::Ended),
                Ok(n) => return Ok(Movement::Moved(n)),
                Err(nix::errno::Errno::EAGAIN) => return Ok(Movement::Blocked),
                Err(nix::errno::Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

/// Sends up to `left` bytes of payload, once.
///
/// # Errors
/// What `send` answers, except that it would block.
pub(crate) fn send(mut stream: &TcpStream, left: usize) -> io::Result<Movement> {
    let block = &PAYLOAD[..left.min(PAYLOAD.len())];
    loop {
        match stream.write(block) {
            Ok(n) => return Ok(Movement::Moved(n)),
            // A connect that is still under way says ENOTCONN on some paths and EAGAIN on others.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected
                ) =>
            {
                return Ok(Movement::Blocked)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Opens the origin's listening socket, non-blocking.
///
/// # Errors
/// When the address is taken or not ours.
pub(crate) fn listen(address: SocketAddr) -> Result<TcpListener, Failure> {
    let open = || -> io::Result<TcpListener> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        // Connections of the last run may still sit in TIME_WAIT on this port.
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        Ok(socket.into())
    };
    open().map_err(|error| Failure::system(format!("listen on {address}"), error))
}

/// Accepts one connection, if one waits.
///
/// # Errors
/// When the system is out of descriptors; a connection that died in the queue is skipped.
pub(crate) fn accept(listener: &mio::net::TcpListener) -> Result<Option<TcpStream>, Failure> {
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                // It can fail only on a socket that is already dead, which the next read reports
                // better.
                let _ = stream.set_nodelay(true);
                return Ok(Some(stream));
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted
                ) => {}
            Err(error) => return Err(Failure::system("accept from the relay", error)),
        }
    }
}

/// Makes room for `needed` descriptors, up to the hard limit and, with the privilege, beyond it.
///
/// # Errors
/// When that many are not to be had.
pub(crate) fn raise_fd_limit(needed: u64) -> Result<(), Failure> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)
        .map_err(|error| Failure::system("read the fd limit", error))?;
    if soft >= needed {
        return Ok(());
    }
    setrlimit(Resource::RLIMIT_NOFILE, needed, hard.max(needed)).map_err(|error| {
        Failure::system(format!("raise the fd limit from {soft} (hard {hard}) to {needed}"), error)
    })
}

/// Waits for events, at most `timeout`. An interrupted wait is an empty one.
///
/// # Errors
/// When epoll fails, which it does not do for reasons of ours.
pub(crate) fn wait(poll: &mut Poll, events: &mut Events, timeout: Duration) -> Result<(), Failure> {
    match poll.poll(events, Some(timeout)) {
        Err(error) if error.kind() != io::ErrorKind::Interrupted => {
            Err(Failure::system("wait for events", error))
        }
        _ => Ok(()),
    }
}

/// Opens a poll with room for `links` connections to be ready at both ends.
///
/// # Errors
/// When the system has no epoll for us.
pub(crate) fn open_poll(links: usize) -> Result<(Poll, Events), Failure> {
    let poll = Poll::new().map_err(|error| Failure::system("open an epoll", error))?;
    Ok((poll, Events::with_capacity(links.saturating_mul(2).clamp(16, 1024))))
}
