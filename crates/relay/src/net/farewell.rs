//! Closing a socket, and what its errors say of the peer.
//!
//! How TCP tells the other side (RFC 9293, 3.6 and 3.10.5): a FIN says "no more from me, and you
//! have got everything"; an RST says "this did not work out".

use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;
use socket2::SockRef;

use super::fd::{Descriptor, Kind};

/// Unread bytes that are read away before closing: this many buffers full. A peer that sends faster
/// than that gets its RST a little early.
const MOST_READS_ON_LEAVING: usize = 16;

/// Closes a socket although its peer may still be sending: what was sent to it is delivered, and what
/// it sends from now on is answered by the kernel with RST.
///
/// close(2) with unread bytes would be an RST at once (RFC 2525, 2.17) and take the undelivered
/// rest of our answer with it, so those bytes are read away first, within bounds.
pub(crate) fn leave(socket: impl AsFd, buffer: &mut [u8]) {
    let source = Descriptor { fd: socket.as_fd(), kind: Kind::STREAM };
    for _ in 0..MOST_READS_ON_LEAVING {
        if !matches!(source.read(buffer), Ok(read) if read > 0) {
            break;
        }
    }
}

/// Makes the close that follows an RST.
pub(crate) fn abort(socket: impl AsFd) {
    // On a socket that is reset already this fails, and nothing is lost by that.
    let _ = SockRef::from(&socket).set_linger(Some(Duration::ZERO));
}

/// Returns whether an error means that the peer has aborted the connection (or let it die), rather
/// than that something is wrong with the descriptor.
pub(crate) fn is_reset(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::ECONNRESET
            | Errno::EPIPE
            | Errno::ENOTCONN
            | Errno::ETIMEDOUT
            | Errno::EHOSTUNREACH
            | Errno::ENETUNREACH
            | Errno::ECONNABORTED
    )
}
