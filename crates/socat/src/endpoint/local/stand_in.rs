//! The process that a program takes for the socat that serves it.
//!
//! socat has a process for each client, and tells a program its number: SOCAT_PID. Who sends it a
//! signal means that one connection, and never the listener. Where one process serves all, a process
//! of its own stands for the link: it has nothing, does nothing, and its end by a signal is the end of
//! the link. It ends by itself with the pipe that it is held by, so that it never outlives the link,
//! however that ends.

use std::os::fd::{AsFd, OwnedFd};

use nix::fcntl::OFlag;
use nix::unistd::{pipe2, Pid};
use nsplice_relay::OpenError;
use nsplice_sys::{pidfd_open, stand_by};

use super::end::collected;
use super::error::{failed, refused};

/// A process that stands for a link.
#[derive(Debug)]
pub(super) struct StandIn {
    pub(super) pid: Pid,
    pub(super) pidfd: OwnedFd,
    /// It ends when this is closed: at the end of the link.
    leash: Option<OwnedFd>,
}

impl StandIn {
    /// Starts one.
    pub(super) fn start() -> Result<Self, OpenError> {
        let (end, leash) = pipe2(OFlag::O_CLOEXEC).map_err(|errno| refused("pipe()", errno))?;
        let pid = stand_by(&end).map_err(|error| failed("fork()", &error))?;
        let pidfd = pidfd_open(pid.as_raw())
            .map_err(|error| failed(format_args!("pidfd_open({pid})"), &error))?;
        Ok(Self { pid, pidfd, leash: Some(leash) })
    }

    /// The number that it is known by.
    pub(super) fn number(&self) -> u32 {
        self.pid.as_raw().unsigned_abs()
    }

    /// Lets it go: the link has ended.
    pub(super) fn dismiss(&mut self) {
        self.leash = None;
    }

    /// Returns whether it has ended: then it is no zombie any more.
    pub(super) fn has_ended(&self) -> bool {
        collected(self.pidfd.as_fd()).is_some()
    }

    /// Returns whether it was let go, so that its end means nothing.
    pub(super) fn is_dismissed(&self) -> bool {
        self.leash.is_none()
    }
}
