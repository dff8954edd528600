//! One connect, begun and looked after without waiting.
//!
//! Kernel facts:
//! - A socket that is not connected yet reports EPOLLOUT in two cases only: it is connected, or it
//!   failed, and then EPOLLERR comes with it (`tcp_poll`: an error sets EPOLLERR, SYN_SENT reports
//!   neither). So EPOLLOUT without EPOLLERR means connected, and getsockopt(2) need not be asked.
//! - On the loopback the handshake is over before a non-blocking connect(2) returns, though it says
//!   EINPROGRESS: the answer arrives while the socket is locked and is handled when it is released.
//!   One poll(2) that does not wait then spares a whole turn of the loop.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nsplice_relay::congestion::unpace;
use nsplice_relay::queues::{confine, is_near, Queues};
use nsplice_relay::Keepalive;
use socket2::{SockRef, Socket};

use crate::connect::route::Route;
use crate::connect::sizes::sizes;
use crate::target::located::Located;

/// Begins to connect; true if it is connected already.
pub(crate) fn start(
    socket: &Socket,
    address: SocketAddr,
    route: &Route,
    located: &Located,
    queues: Queues,
) -> io::Result<bool> {
    socket.set_tcp_nodelay(true)?;
    let nearby = is_near(address);
    if !nearby {
        // A peer on the loopback cannot vanish without the kernel's noticing.
        Keepalive::default().apply(SockRef::from(socket))?;
    } else if route.is_paced(socket) {
        unpace(socket);
    }
    if let Some(sizes) = sizes(queues, located.is_home(), nearby) {
        confine(socket, sizes);
    }
    match socket.connect(&address.into()) {
        Ok(()) => Ok(true),
        Err(error) if error.raw_os_error() == Some(Errno::EINPROGRESS as i32) => {
            if nearby {
                answered(socket)
            } else {
                Ok(false)
            }
        }
        Err(error) => Err(error),
    }
}

/// Returns whether the answer is here already; an error if it is a refusal.
pub(crate) fn answered(socket: &Socket) -> io::Result<bool> {
    let mut watched = [PollFd::new(socket.as_fd(), PollFlags::POLLOUT)];
    // A poll(2) that fails has told nothing; the loop's own will.
    if poll(&mut watched, PollTimeout::ZERO).is_err() {
        return Ok(false);
    }
    let [watched] = watched;
    let seen = watched.revents().unwrap_or(PollFlags::empty());
    if seen.contains(PollFlags::POLLERR) {
        if let Some(error) = socket.take_error()? {
            return Err(error);
        }
    }
    Ok(seen.contains(PollFlags::POLLOUT))
}
