//! The process that a program takes for the socat that serves it.
//!
//! socat has a process for each client, and tells a program its number: SOCAT_PID. Who sends it a
//! signal means that one connection, and never the listener. Where one process serves all, a process
//! of its own stands for the link: it has nothing, does nothing, and its end by a signal is the end of
//! the link. It ends by itself with the pipe that it is held by, so that it never outlives the link,
//! however that ends.

use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};

use nix::fcntl::OFlag;
use nix::unistd::{pipe2, Pid};
use nsplice_backend::{pidfd_open, stand_by};
use nsplice_relay::OpenError;
use socket2::SockRef;

use super::super::{failed, refused};

/// A process that stands for a link.
#[derive(Debug)]
pub(in super::super) struct StandIn {
    pub(super) pid: Pid,
    pub(super) pidfd: OwnedFd,
    /// It ends when this is closed: at the end of the link.
    leash: Option<OwnedFd>,
    /// Our end of what leads to the program, if that is a socket.
    transport: Option<OwnedFd>,
}

impl StandIn {
    /// Starts one.
    pub(in super::super) fn start() -> Result<Self, OpenError> {
        let (end, leash) = pipe2(OFlag::O_CLOEXEC).map_err(|errno| refused("pipe()", errno))?;
        let pid = stand_by(&end).map_err(|error| failed("fork()", &error))?;
        let pidfd = pidfd_open(pid.as_raw())
            .map_err(|error| failed(format_args!("pidfd_open({pid})"), &error))?;
        Ok(Self { pid, pidfd, leash: Some(leash), transport: None })
    }

    /// The number that it is known by.
    pub(in super::super) fn number(&self) -> u32 {
        self.pid.as_raw().unsigned_abs()
    }

    /// Its end is the end of `transport`, too.
    pub(in super::super) fn stands_for(mut self, transport: Option<OwnedFd>) -> Self {
        self.transport = transport;
        self
    }

    /// Lets it go: the link has ended.
    pub(super) fn dismiss(&mut self) {
        self.leash = None;
        self.transport = None;
    }

    /// Whether it has ended: then it is no zombie any more.
    pub(super) fn has_ended(&self) -> bool {
        super::collected(self.pidfd.as_fd()).is_some()
    }

    /// Ends what it stood for, if it was not dismissed before. Whether that was left to be done, and
    /// whether it could be.
    pub(super) fn end_link(&self) -> LinkEnd {
        match (&self.leash, &self.transport) {
            (None, _) => LinkEnd::Before,
            (Some(_), None) => LinkEnd::ByProgram,
            (Some(_), Some(transport)) => {
                // It may have ended meanwhile.
                let _ = SockRef::from(transport).shutdown(Shutdown::Both);
                LinkEnd::Done
            }
        }
    }
}

/// What is left to be done to end a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LinkEnd {
    /// It has ended before.
    Before,
    /// Nothing.
    Done,
    /// The program has to end.
    ByProgram,
}
