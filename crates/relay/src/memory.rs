//! The kernel memory that the queues of a loop's links may take, for each link and in total.
//!
//! What a peer sends and the other side does not take waits in the queues of our two sockets. How long
//! these may grow is tuned by the kernel, up to `tcp_rmem` and `tcp_wmem` of the namespace that a
//! socket was born in: for an upstream that is the container's to set, and at the kernel's defaults a
//! single client that stops reading pins some 30 MB. So a loop that is given a total for them
//! ([`crate::Settings::socket_memory`]; none is by default, which says why) sizes them itself:
//!
//! * The receive queue gets a size of its own (SO_RCVBUF, with CAP_NET_ADMIN beyond `rmem_max`), which
//!   switches its tuning off. A window does not do (TCP_WINDOW_CLAMP): it bounds what is offered
//!   beyond what is queued already, not what is queued.
//! * The send queue gets a bound on what is not sent yet (TCP_NOTSENT_LOWAT). What is on its way is
//!   tuned as ever.
//!
//! A lane is confined once: when it has carried so much that the kernel begins to tune, or when its
//! sink is full for the first time, whichever comes first. A link of messages never is, and so costs
//! no call more and holds no more than the queues that it was born with. Where the peer is near, on
//! this machine, [`NEAR`] is as good as the kernel's tuning, because nothing is ever on its way for
//! long (measured: see DESIGN.md). Where it is far the queue has to hold what is on its way there and
//! back, which only the kernel finds out: it is left alone as long as everything passes, and from the
//! first time that something does not it keeps the size that was found.
//!
//! All of this is taken from a total. The more of it is gone, the less a lane gets, down to [`LEAST`]:
//! nobody is turned away. It is given back when the link ends.
//!
//! A loop that accepts nobody has one link, and leaves its sockets as they are.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::sys::socket::sockopt::{GetUsize, RcvBuf, RcvBufForce, SetUsize};
use nix::sys::socket::{getsockopt, setsockopt};
use socket2::{Domain, SockRef, Socket, Type};

use crate::end::{End, Kind};

/// What a lane between near peers may have queued at either of its sockets, in bytes as the kernel
/// counts them, overhead included. Half of it is the low-water mark of a long burst (`haul.rs`).
pub const NEAR: usize = 2 << 20;

/// The same for a far peer: as much as the kernel's own tuning gives at most (`tcp_rmem`, Linux 6.17).
pub const FAR: usize = 32 << 20;

/// A far peer's queue is not made smaller than this, which was the kernel's most for long.
const FAR_LEAST: usize = 6 << 20;

/// What a lane is left with when the total is used up: twice what the kernel begins with.
pub const LEAST: usize = 256 * 1024;

/// From so many bytes on a lane between near peers is confined, full or not. The kernel's tuning has
/// hardly begun by then.
const CONFINED_FROM: u64 = 256 * 1024;

/// The most that one lane gets is this part of what is left of the total.
const SHARE: usize = 16;

/// The memory of a loop.
#[derive(Debug)]
pub(crate) struct Memory {
    /// `None`: the sockets are left alone.
    total: Option<usize>,
    granted: usize,
}

/// What has been done about the queues of a lane.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Queues {
    /// Nothing yet.
    #[default]
    Tuned,
    /// Nothing, because the peer is far; the first time that the sink is full something will be.
    Far,
    /// This much was taken from the total for them.
    Confined(usize),
    /// Nothing ever: they are no queues of TCP, or those of others as well.
    Foreign,
}

impl Memory {
    /// Of this many bytes; of a loop that does not accept yet.
    pub(crate) fn idle() -> Self {
        Self { total: None, granted: 0 }
    }

    /// The loop accepts, and has this many bytes for all of its links; 0 leaves them to the kernel.
    pub(crate) fn establish(&mut self, total: usize) {
        self.total = (total > 0).then_some(total);
    }

    /// Takes a lane's part of the total for two queues of `wished` bytes, and answers the size of one.
    fn grant(&mut self, total: usize, wished: usize) -> usize {
        let left = total.saturating_sub(self.granted);
        let queue = wished.min(left / SHARE / 2).max(LEAST);
        self.granted += 2 * queue;
        queue
    }

    /// Takes back what was taken for a lane.
    pub(crate) fn give_back(&mut self, queues: Queues) {
        if let Queues::Confined(bytes) = queues {
            self.granted -= bytes;
        }
    }

    /// What becomes of the queues between `source` and `sink` of a lane that has carried `carried`
    /// bytes, and whose sink `is_full` or not.
    pub(crate) fn arrange(
        &mut self,
        queues: Queues,
        source: End<'_>,
        sink: End<'_>,
        carried: u64,
        is_full: bool,
    ) -> Queues {
        let Some(total) = self.total else { return queues };
        let is_due = match queues {
            Queues::Tuned => is_full || carried >= CONFINED_FROM,
            Queues::Far => is_full,
            Queues::Confined(_) | Queues::Foreign => false,
        };
        if !is_due {
            return queues;
        }
        let reaches = [source, sink].map(Reach::of);
        let wished = match reaches[0].or(reaches[1]) {
            None => return Queues::Foreign,
            Some(Reach::Near) => NEAR,
            Some(Reach::Far) if !is_full => return Queues::Far,
            Some(Reach::Far) => {
                let tuned = getsockopt(&source.fd, RcvBuf).unwrap_or(FAR_LEAST);
                tuned.clamp(FAR_LEAST, FAR)
            }
        };
        let queue = self.grant(total, wished);
        if reaches[0].is_some() {
            confine_receiving(source, queue);
        }
        if reaches[1].is_some() {
            // Where it is refused, `tcp_wmem` is the bound.
            let _ = setsockopt(&sink.fd, UnsentLowWater, &queue.min(NEAR));
        }
        Queues::Confined(2 * queue)
    }
}

/// Where the peer of a TCP socket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// On this machine: no packet leaves it.
    Near,
    Far,
}

impl Reach {
    /// `None` if it is no connected TCP socket.
    fn of(end: End<'_>) -> Option<Self> {
        if !end.kind.is_socket() {
            return None;
        }
        let socket = SockRef::from(&end.fd);
        let peer = socket.peer_addr().ok()?.as_socket()?;
        let own = || socket.local_addr().ok().and_then(|address| address.as_socket());
        Some(if is_near(peer, own) { Self::Near } else { Self::Far })
    }
}

/// Who connects to an address of its own machine has that address, too.
fn is_near(peer: SocketAddr, own: impl FnOnce() -> Option<SocketAddr>) -> bool {
    let ip = peer.ip().to_canonical();
    ip.is_loopback() || own().is_some_and(|own| own.ip().to_canonical() == ip)
}

/// The size that a receive queue is granted where [`NEAR`] is asked for: less without CAP_NET_ADMIN
/// where `net.core.rmem_max` is low.
///
/// # Errors
/// When no socket can be made to try it with.
pub fn granted() -> io::Result<usize> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    confine_receiving(End { fd: socket.as_fd(), kind: Kind::STREAM }, NEAR);
    socket.recv_buffer_size()
}

/// Makes a receive queue take `bytes` and no more, or as many as the kernel grants us; unless whoever
/// made the socket has set a size for it.
fn confine_receiving(source: End<'_>, bytes: usize) {
    // Not told before Linux 5.14.
    if getsockopt(&source.fd, SizesSet).is_ok_and(|set| set & RECEIVE_SIZE_SET != 0) {
        return;
    }
    // The kernel doubles what it is told.
    let told = bytes / 2;
    if setsockopt(&source.fd, RcvBufForce, &told) == Err(Errno::EPERM) {
        let _ = setsockopt(&source.fd, RcvBuf, &told);
    }
}

/// Bytes that a send queue may hold and has not sent (tcp(7)), for which nix has no name.
#[derive(Debug, Clone, Copy)]
struct UnsentLowWater;

/// Which of a socket's buffer sizes were set and are tuned no more (SO_BUF_LOCK), for which nix has no
/// name either.
#[derive(Debug, Clone, Copy)]
struct SizesSet;

const RECEIVE_SIZE_SET: usize = 2;

nix::getsockopt_impl!(SizesSet, libc::SOL_SOCKET, libc::SO_BUF_LOCK, usize, GetUsize);
nix::setsockopt_impl!(UnsentLowWater, libc::IPPROTO_TCP, libc::TCP_NOTSENT_LOWAT, usize, SetUsize);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::Channel;
    use proptest::prelude::*;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::OwnedFd;

    const TOTAL: usize = 64 << 20;

    fn established() -> Memory {
        let mut memory = Memory::idle();
        memory.establish(TOTAL);
        memory
    }

    /// A socket of ours, and its peer.
    fn socket() -> (Channel, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (Channel::stream(OwnedFd::from(ours)), listener.accept().unwrap().0)
    }

    fn receives(channel: &Channel) -> usize {
        getsockopt(&channel.source().unwrap().fd, RcvBuf).unwrap()
    }

    fn arrange(
        memory: &mut Memory,
        queues: Queues,
        carried: u64,
        is_full: bool,
    ) -> (Queues, usize) {
        let ((source, _peer), (sink, _other)) = (socket(), socket());
        let (from, to) = (source.source().unwrap(), sink.sink().unwrap());
        (memory.arrange(queues, from, to, carried, is_full), receives(&source))
    }

    #[test]
    fn messages_are_left_alone_and_bulk_is_confined() {
        let mut memory = established();
        let (queues, before) = arrange(&mut memory, Queues::Tuned, CONFINED_FROM - 1, false);
        assert_eq!((queues, memory.granted), (Queues::Tuned, 0));
        for (carried, is_full) in [(CONFINED_FROM, false), (0, true)] {
            let (queues, size) = arrange(&mut memory, Queues::Tuned, carried, is_full);
            assert_eq!(queues, Queues::Confined(2 * NEAR));
            // `rmem_max` may be the most that is granted.
            assert!(size > before && size <= NEAR, "{size}");
            memory.give_back(queues);
        }
        assert_eq!(memory.granted, 0);
    }

    #[test]
    fn a_size_that_was_set_stays() {
        let ((source, _peer), (sink, _other)) = (socket(), socket());
        setsockopt(&source.source().unwrap().fd, RcvBuf, &10_000).unwrap();
        let (from, to) = (source.source().unwrap(), sink.sink().unwrap());
        established().arrange(Queues::Tuned, from, to, 0, true);
        assert_eq!(receives(&source), 20_000);
    }

    #[test]
    fn a_loop_of_one_link_leaves_its_sockets_alone() {
        let mut memory = Memory::idle();
        assert_eq!(arrange(&mut memory, Queues::Tuned, 1 << 30, true).0, Queues::Tuned);
    }

    #[test]
    fn what_is_no_tcp_is_left_alone() {
        let (ours, _theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let channel = Channel::stream(ours.into());
        let (from, to) = (channel.source().unwrap(), channel.sink().unwrap());
        let queues = established().arrange(Queues::Tuned, from, to, 0, true);
        assert_eq!(queues, Queues::Foreign);
    }

    #[test]
    fn whoever_has_the_address_of_its_peer_is_near() {
        let own = || Some("10.1.2.3:4".parse().unwrap());
        assert!(is_near("10.1.2.3:80".parse().unwrap(), own));
        assert!(is_near("[::ffff:127.0.0.1]:80".parse().unwrap(), || None));
        assert!(!is_near("10.1.2.4:80".parse().unwrap(), own));
    }

    proptest! {
        /// Whatever was granted, the least apart, is within the total, and all of it comes back.
        #[test]
        fn the_total_is_kept(wishes in prop::collection::vec(LEAST..FAR, 0..500)) {
            let mut memory = established();
            let queues: Vec<_> = wishes.iter().map(|wished| memory.grant(TOTAL, *wished)).collect();
            let beyond: usize = queues.iter().filter(|queue| **queue == LEAST).count() * 2 * LEAST;
            prop_assert!(memory.granted <= TOTAL + beyond);
            prop_assert!(queues.iter().zip(wishes).all(|(queue, wished)| *queue <= wished));
            queues.into_iter().for_each(|queue| memory.give_back(Queues::Confined(2 * queue)));
            prop_assert_eq!(memory.granted, 0);
        }
    }
}
