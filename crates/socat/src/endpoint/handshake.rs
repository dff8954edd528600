//! One candidate of a connecting endpoint: its socket, and how far its connect has come.
//!
//! Kernel facts:
//! - On the loopback a connect is decided before connect(2) returns EINPROGRESS, so one poll(2) right
//!   after it spares a turn of the loop.
//! - A UNIX socket whose listener's queue is full answers EAGAIN at once and reports nothing when
//!   there is room; all that can be done is to try again after a moment.

use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nsplice_relay::{OpenClass, OpenError};
use nsplice_sys::describe;
use socket2::{SockRef, Socket};

use crate::language::Opt;

use super::candidate::{Candidate, Connection};
use super::netns::errno_of;
use super::settings::{apply, Phase};
use super::socket_file::{mode_of, SocketFile};

/// A socket and the file that its local name left behind.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) socket: Socket,
    pub(crate) file: Option<SocketFile>,
}

/// The fate of one candidate.
pub(crate) enum Fate {
    Connected(Bound),
    Waiting(Bound),
    /// There was no room in the listener's queue.
    Congested,
    Failed(OpenError),
    /// The socket is of another type than the one it was to be connected to.
    WrongType(OpenError),
}

impl Connection {
    /// Makes a socket and begins to connect it.
    pub(crate) fn step(&self, candidate: &Candidate) -> Fate {
        match self.prepare(candidate) {
            Ok(bound) => self.connect(candidate, bound),
            Err(error) => Fate::Failed(error),
        }
    }

    /// Everything before connect(2).
    fn prepare(&self, candidate: &Candidate) -> Result<Bound, OpenError> {
        let protocol = candidate.protocol();
        let socket = self.birth.socket(candidate.remote.domain(), candidate.kind, protocol)?;
        if self.is_impatient() && protocol.is_some() {
            // What is relayed has been waited with already; refused by no kernel.
            let _ = SockRef::from(&socket).set_tcp_nodelay(true);
        }
        apply(&socket, &self.address, Phase::Made)?;
        apply(&socket, &self.address, Phase::BeforeBind)?;
        candidate.local.bind(&socket, self.address.number(Opt::Mode).map(mode_of))?;
        let stays =
            self.address.setting(Opt::UnlinkClose).is_some() && !self.address.has(Opt::UnlinkClose);
        let file = candidate.local.path().filter(|_| !stays).map(SocketFile::made);
        Ok(Bound { socket, file })
    }

    fn connect(&self, candidate: &Candidate, bound: Bound) -> Fate {
        let Err(error) = bound.socket.connect(&candidate.remote) else {
            return Fate::Connected(bound);
        };
        match errno_of(&error) {
            Errno::EAGAIN if candidate.remote.is_unix() => Fate::Congested,
            Errno::EPROTOTYPE => {
                Fate::WrongType(self.refused(candidate, &bound.socket, Errno::EPROTOTYPE))
            }
            Errno::EINPROGRESS => match outcome(&bound.socket) {
                Outcome::Connected => Fate::Connected(bound),
                Outcome::Undecided => Fate::Waiting(bound),
                Outcome::Refused(errno) => {
                    Fate::Failed(self.refused(candidate, &bound.socket, errno))
                }
            },
            errno => Fate::Failed(self.refused(candidate, &bound.socket, errno)),
        }
    }

    /// The error of `candidate`, to which the kernel answered `errno`.
    pub(crate) fn refused(
        &self,
        candidate: &Candidate,
        socket: &Socket,
        errno: Errno,
    ) -> OpenError {
        let told = self.told(candidate, socket.as_raw_fd());
        OpenError::new(OpenClass::of_errno(errno), format!("{told}: {}", describe(&errno.into())))
    }
}

/// The point that a connect has come to.
pub(crate) enum Outcome {
    Connected,
    Refused(Errno),
    Undecided,
}

/// Returns how far the connect of `socket` has come, by a look that does not wait.
pub(crate) fn outcome(socket: &Socket) -> Outcome {
    let mut watched = [PollFd::new(socket.as_fd(), PollFlags::POLLOUT)];
    // A poll(2) that fails has told nothing; the loop's own will.
    if !matches!(poll(&mut watched, PollTimeout::ZERO), Ok(1..)) {
        return Outcome::Undecided;
    }
    let [watched] = watched;
    if watched.revents() == Some(PollFlags::POLLOUT) {
        // What was refused says so by POLLERR, and need not be asked.
        return Outcome::Connected;
    }
    match socket.take_error() {
        Ok(Some(error)) | Err(error) => Outcome::Refused(errno_of(&error)),
        Ok(None) => Outcome::Connected,
    }
}
