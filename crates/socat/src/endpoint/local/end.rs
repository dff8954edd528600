//! The end of a process, seen through its pidfd.

use std::os::fd::BorrowedFd;

use nix::errno::Errno;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::wait::{waitid, Id, WaitPidFlag, WaitStatus};

/// The exit status of the process behind `pidfd`, if it has ended: then it is no zombie any more.
///
/// A process that has split off from the one that started the child has no status to collect
/// (ECHILD), but still a link to end: there the pidfd alone says whether the child has ended.
pub(super) fn collected(pidfd: BorrowedFd<'_>) -> Option<Result<WaitStatus, Errno>> {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG;
    match waitid(Id::PIDFd(pidfd), flags) {
        Ok(WaitStatus::StillAlive) | Err(Errno::EINTR) => None,
        Err(Errno::ECHILD) if !has_ended(pidfd) => None,
        status => Some(status),
    }
}

fn has_ended(pidfd: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::new(pidfd, PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}
