//! Sizes of the two queues of a TCP socket, settled before it is connected.
//!
//! The kernel lets a socket's queues grow as bytes flow: the receive queue up to `tcp_rmem`, the send
//! queue up to `tcp_wmem` (tcp(7)) of the network namespace that the socket was made in. In a container
//! these can be the container's own to say (Kubernetes counts both among the safe sysctls), as can what
//! a socket begins with; the memory is the node's. What is not read at one end of a link fills them all.
//!
//! A size that was set (SO_RCVBUF, SO_SNDBUF of socket(7)) stays as it is. It has to be set before the
//! handshake, in which the window scale is settled, and is never made smaller afterwards: the peer was
//! told that there is room, the kernel drops what it then sends, and its retransmission timer backs
//! off. An accepted socket has the sizes that its listener had during the handshake (`sk_clone`).
//!
//! All sizes here are as the kernel counts them, its own overhead included: it doubles what it is told.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::OnceLock;

use nix::errno::Errno;
use nix::sys::socket::sockopt::{RcvBuf, RcvBufForce, SndBuf, SndBufForce};
use nix::sys::socket::{getsockopt, setsockopt, SetSockOpt};
use socket2::{Domain, Socket, Type};

/// Sizes of a socket's queues, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Of the receive queue.
    pub receive: usize,
    /// Of the send queue.
    pub send: usize,
}

impl Sizes {
    /// Bytes that both queues can hold.
    pub fn total(self) -> usize {
        self.receive + self.send
    }
}

/// Sizes between programs of one machine. The send queue is what the kernel's own tuning would come to
/// (`tcp_wmem`), for half of that makes the relay wait for room. The receive queue is four times the
/// raised low-water mark: the kernel lowers the mark to half of a size that was set
/// (`tcp_set_rcvlowat`), and with twice the mark a sender finds no room whenever the relay reads, so that
/// what it has to send leaves in the relay's thread, when that makes room.
pub const NEAR: Sizes = Sizes { receive: 4 << 20, send: 4 << 20 };

/// Sizes to a peer behind a network: what 1 Gbit/s needs at a round trip of 30 ms.
pub const FAR: Sizes = Sizes { receive: 8 << 20, send: 8 << 20 };

/// Sizes when there is room for no more. Anybody is granted these (`net.core.rmem_max` and `wmem_max`
/// are 212992, unless somebody has lowered them).
pub const LEAST: Sizes = Sizes { receive: 256 << 10, send: 256 << 10 };

/// The length that the queues of a link's sockets may reach.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Queues {
    /// As long as the kernel makes them.
    #[default]
    Tuned,
    /// As long as the peer needs: [`NEAR`] or [`FAR`].
    Ample,
    /// [`LEAST`].
    Least,
}

/// Sizes the queues of `socket`, which is not connected yet. Without CAP_NET_ADMIN they become no
/// larger than twice `net.core.rmem_max` and `net.core.wmem_max`.
pub fn confine(socket: &impl AsFd, sizes: Sizes) {
    set(socket, RcvBufForce, RcvBuf, sizes.receive);
    set(socket, SndBufForce, SndBuf, sizes.send);
}

fn set(
    socket: &impl AsFd,
    force: impl SetSockOpt<Val = usize>,
    ask: impl SetSockOpt<Val = usize>,
    bytes: usize,
) {
    let told = bytes / 2;
    // Nothing else fails on a socket of TCP.
    if setsockopt(socket, force, &told) == Err(Errno::EPERM) {
        let _ = setsockopt(socket, ask, &told);
    }
}

/// The sizes that `socket` has now.
///
/// # Errors
/// When it is no socket.
pub fn sizes(socket: &impl AsFd) -> io::Result<Sizes> {
    Ok(Sizes { receive: getsockopt(socket, RcvBuf)?, send: getsockopt(socket, SndBuf)? })
}

/// The sizes that this process is granted of [`NEAR`].
///
/// # Errors
/// When no socket can be made to try it with.
pub fn granted() -> io::Result<Sizes> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    confine(&socket, NEAR);
    sizes(&socket)
}

/// Returns whether this process is granted [`NEAR`], found out once. Where it is not, sockets of our own
/// namespace are better left to the kernel: their `tcp_rmem` and `tcp_wmem` are the node's.
pub fn is_near_granted() -> bool {
    static IS_GRANTED: OnceLock<bool> = OnceLock::new();
    *IS_GRANTED.get_or_init(|| granted().is_ok_and(|granted| granted == NEAR))
}

/// Returns whether a peer at `address` is on this machine for certain.
pub fn is_near(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

/// Returns whether sockets that are accepted at `address` are sized by us: those of this machine, where the
/// kernel grants what they need.
pub(crate) fn is_sized_at(address: SocketAddr) -> bool {
    is_near(address) && is_near_granted()
}

/// The kernel memory that the queues of all links may take, in bytes: half of what TCP may take on a
/// machine of this size before the kernel begins to save (`tcp_mem` of tcp(7): a 16th of memory).
pub fn share_of_machine() -> usize {
    let memory = nix::sys::sysinfo::sysinfo().map_or(FALLBACK, |info| info.ram_total());
    usize::try_from(memory / 32).unwrap_or(usize::MAX)
}

/// Memory of a machine that does not tell.
const FALLBACK: u64 = 4 << 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_accepted_socket_has_the_sizes_of_its_listener() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        for asked in [LEAST, NEAR, LEAST] {
            confine(&listener, asked);
            let granted = sizes(&listener).unwrap();
            assert!(granted.receive <= asked.receive && granted.send <= asked.send, "{granted:?}");
            let client = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            confine(&client, asked);
            client.connect(&address.into()).unwrap();
            assert_eq!(sizes(&client).unwrap(), granted);
            assert_eq!(sizes(&listener.accept().unwrap().0).unwrap(), granted);
        }
    }

    #[test]
    fn what_is_granted_is_at_least_the_least() {
        let granted = granted().unwrap();
        assert!(granted.receive >= LEAST.receive && granted.send >= LEAST.send, "{granted:?}");
    }

    #[test]
    fn loopback_addresses_are_near_in_every_notation() {
        for (address, expected) in [
            ("127.0.0.9:1", true),
            ("[::1]:1", true),
            ("[::ffff:127.0.0.1]:1", true),
            ("10.1.2.3:1", false),
            ("0.0.0.0:1", false),
        ] {
            assert_eq!(is_near(address.parse().unwrap()), expected, "{address}");
        }
    }
}
