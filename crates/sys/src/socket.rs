//! Facts that the kernel knows of sockets and pipes, and options by number.

use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;

/// Bytes that a TCP socket was given and its peer has not acknowledged yet, a FIN counting as one
/// (SIOCOUTQ, tcp(7)); 0 of other sockets, where that is not known, and of a connection that is over:
/// after a reset the queue stays as it was for as long as the socket lives (`tcp_ioctl`), but nobody
/// will acknowledge it any more.
pub fn unacknowledged(socket: BorrowedFd<'_>) -> usize {
    match tcp_info(socket) {
        // TIOCOUTQ has the same number as SIOCOUTQ.
        Some(info) if info.state != TCP_CLOSE => queued_bytes(socket, libc::TIOCOUTQ),
        _ => 0,
    }
}

/// Bytes that wait to be read, of a socket or of a pipe, of which either end can be asked (FIONREAD,
/// tcp(7) and pipe(7)); 0 where that is not known.
pub fn unread(end: BorrowedFd<'_>) -> usize {
    queued_bytes(end, libc::FIONREAD)
}

/// The answer of ioctl(2) to `question`, one of those that are answered by a number of bytes.
fn queued_bytes(end: BorrowedFd<'_>, question: libc::Ioctl) -> usize {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the questions above write one int, to which the pointer leads.
    let answer = unsafe { libc::ioctl(end.as_raw_fd(), question, &raw mut bytes) };
    if answer == -1 {
        0
    } else {
        usize::try_from(bytes).unwrap_or(0)
    }
}

/// Clients in the queue of `listener`, their handshakes complete (`sk_ack_backlog`, which TCP_INFO
/// has in `tcpi_unacked` for sockets that listen: `tcp_get_info`); 0 where that is not known.
pub fn queued(listener: BorrowedFd<'_>) -> usize {
    tcp_info(listener).map_or(0, |info| usize::try_from(info.unacknowledged).unwrap_or(0))
}

/// The state of a connection that is over, in the kernel's `include/net/tcp_states.h`.
const TCP_CLOSE: u8 = 7;

/// The part of a struct tcp_info that we need.
#[derive(Debug, Clone, Copy)]
struct TcpInfo {
    /// `tcpi_state`
    state: u8,
    /// `tcpi_unacked`
    unacknowledged: u32,
}

/// The TCP_INFO of a socket (tcp(7)); None of one that is not TCP's.
fn tcp_info(socket: BorrowedFd<'_>) -> Option<TcpInfo> {
    // The first words of a struct tcp_info: two of bytes, of which the state is the first, then
    // rto, ato, snd_mss, rcv_mss, unacked.
    let mut words = [0_u32; 7];
    let mut length = libc::socklen_t::try_from(size_of_val(&words)).unwrap_or_default();
    // SAFETY: the kernel writes at most `length` bytes, which `words` has, and the length itself.
    let answer = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            words.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    let [first, .., unacknowledged] = words;
    let [state, ..] = first.to_ne_bytes();
    (answer == 0).then_some(TcpInfo { state, unacknowledged })
}

/// Sets the option `name` of `level` on `socket` to the bytes `value`.
///
/// # Errors
/// Whatever setsockopt(2) answers.
pub fn set_socket_option(
    socket: BorrowedFd<'_>,
    level: libc::c_int,
    name: libc::c_int,
    value: &[u8],
) -> Result<(), Errno> {
    let length = libc::socklen_t::try_from(value.len()).map_err(|_| Errno::EINVAL)?;
    // SAFETY: the kernel reads `length` bytes, which `value` has.
    let answer =
        unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, value.as_ptr().cast(), length) };
    Errno::result(answer).map(drop)
}
