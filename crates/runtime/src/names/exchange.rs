//! One question to one server: over UDP, and over TCP for what does not fit.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io::{self, ErrorKind, Read};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use socket2::{Domain, Socket, Type};

use crate::wire::{Wire, WireError};

use super::message::{question, reply, Family, Reply};

/// Makes the sockets of look-ups, in the network namespace in which the answers count.
pub trait Sockets {
    /// Makes a socket that is not connected yet.
    ///
    /// # Errors
    /// When the namespace cannot be entered, or the socket not be made.
    fn socket(&self, domain: Domain, kind: Type) -> io::Result<Socket>;
}

/// What a server has said to each of the questions of one name.
pub(crate) type Replies = Vec<(Family, io::Result<Reply>)>;

/// The longest reply over UDP: without EDNS a server keeps to 512 bytes (RFC 1035, section 4.2.1), but
/// not every one does.
const LONGEST_DATAGRAM: usize = 4096;

/// So many datagrams that answer something else are passed over.
const MOST_STRAYS: usize = 64;

/// Asks `server` for the addresses of `name`, of all `families` at once, and waits for its answers until
/// `deadline`. What has not come by then is [`ErrorKind::TimedOut`].
pub(crate) fn ask(
    sockets: &dyn Sockets,
    server: SocketAddr,
    name: &str,
    families: &[Family],
    tcp: bool,
    deadline: Instant,
) -> Replies {
    let over_tcp = |family| over_tcp(sockets, server, name, family, deadline);
    if tcp {
        return families.iter().map(|family| (*family, over_tcp(*family))).collect();
    }
    let mut replies = over_udp(sockets, server, name, families, deadline);
    for (family, reply) in &mut replies {
        if matches!(reply, Ok(Reply::Truncated)) {
            *reply = over_tcp(*family);
        }
    }
    replies
}

fn over_udp(
    sockets: &dyn Sockets,
    server: SocketAddr,
    name: &str,
    families: &[Family],
    deadline: Instant,
) -> Replies {
    let mut open: Vec<(u16, Family)> = families.iter().map(|each| (random(), *each)).collect();
    let mut replies = Replies::new();
    if let Err(error) = converse(sockets, server, name, &mut open, &mut replies, deadline) {
        // It is the answer to whatever is left.
        let copy = || match error.raw_os_error() {
            Some(number) => io::Error::from_raw_os_error(number),
            None => io::Error::new(error.kind(), error.to_string()),
        };
        replies.extend(open.into_iter().map(|(_, family)| (family, Err(copy()))));
    }
    replies
}

/// Sends the questions that are `open`, by their ids, and moves each to `replies` as its reply comes.
fn converse(
    sockets: &dyn Sockets,
    server: SocketAddr,
    name: &str,
    open: &mut Vec<(u16, Family)>,
    replies: &mut Replies,
    deadline: Instant,
) -> io::Result<()> {
    let socket = sockets.socket(Domain::for_address(server), Type::DGRAM)?;
    socket.set_nonblocking(true)?;
    // Connected, so that only the server's own datagrams come, and its ICMP errors do.
    socket.connect(&server.into())?;
    for (id, family) in open.iter() {
        socket.send(&question(*id, name, *family).ok_or(ErrorKind::InvalidInput)?)?;
    }
    let mut strays = 0;
    while !open.is_empty() {
        let datagram = receive(&socket, deadline)?;
        let answered = open
            .iter()
            .enumerate()
            .find_map(|(index, (id, family))| Some((index, reply(&datagram, *id, name, *family)?)));
        if let Some((index, reply)) = answered {
            let (_, family) = open.swap_remove(index);
            replies.push((family, Ok(reply)));
            continue;
        }
        strays += 1;
        if strays > MOST_STRAYS {
            return Err(io::Error::other("its datagrams answer something else"));
        }
    }
    Ok(())
}

/// A number that a stranger cannot guess, for the id of a question: the system's random numbers are
/// behind the seeds of std's hash maps.
pub(super) fn random() -> u16 {
    let hash = RandomState::new().build_hasher().finish();
    u16::from_ne_bytes([hash.to_ne_bytes()[0], hash.to_ne_bytes()[1]])
}

/// The next datagram.
fn receive(socket: &Socket, deadline: Instant) -> io::Result<Vec<u8>> {
    loop {
        wait(socket, deadline)?;
        let mut reader = socket;
        let mut bytes = vec![0; LONGEST_DATAGRAM];
        match reader.read(&mut bytes) {
            Ok(len) => {
                bytes.truncate(len);
                return Ok(bytes);
            }
            Err(error) if is_passing(&error) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Waits until there is something to read.
fn wait(socket: &Socket, deadline: Instant) -> io::Result<()> {
    let left = left(deadline)?;
    let milliseconds = left.as_millis().saturating_add(1).try_into().unwrap_or(i32::MAX);
    let timeout = PollTimeout::try_from(milliseconds).unwrap_or(PollTimeout::MAX);
    match poll(&mut [PollFd::new(socket.as_fd(), PollFlags::POLLIN)], timeout) {
        Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// The time that is left, never zero.
fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(ErrorKind::TimedOut.into());
    }
    Ok(left)
}

/// Messages over TCP have their length before them (RFC 1035, section 4.2.2).
fn over_tcp(
    sockets: &dyn Sockets,
    server: SocketAddr,
    name: &str,
    family: Family,
    deadline: Instant,
) -> io::Result<Reply> {
    let id = random();
    let question = question(id, name, family).ok_or(ErrorKind::InvalidInput)?;
    let len = u16::try_from(question.len()).map_err(|_| ErrorKind::InvalidInput)?;
    let socket = sockets.socket(Domain::for_address(server), Type::STREAM)?;
    socket.set_nonblocking(false)?;
    let mut message = Vec::new();
    let exchanged = Wire::over(socket, &server.into(), left(deadline)?).and_then(|mut wire| {
        wire.write(&[len.to_be_bytes().as_slice(), &question].concat())?;
        let mut len = [0; 2];
        wire.fill(&mut len)?;
        message.resize(u16::from_be_bytes(len).into(), 0);
        wire.fill(&mut message)
    });
    exchanged.map_err(|error| match error {
        WireError::Connect(error) | WireError::Io(error) => error,
        WireError::TimedOut(_) => ErrorKind::TimedOut.into(),
    })?;
    match reply(&message, id, name, family) {
        None | Some(Reply::Truncated) => Err(io::Error::other("its reply answers something else")),
        Some(reply) => Ok(reply),
    }
}
