//! Descriptors: duplicates, close-on-exec, and whether there is something to read.
//!
//! Some are known by their number only, because whoever started us opened them.

use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};

/// A duplicate of the descriptor `number`, whoever opened it, close-on-exec. It gets the first free
/// number that is neither below `least` nor that of a standard descriptor.
///
/// # Errors
/// EBADF: there is no such descriptor. EMFILE: no number is free.
pub fn duplicate(number: RawFd, least: RawFd) -> io::Result<OwnedFd> {
    let least = least.max(libc::STDERR_FILENO + 1);
    // SAFETY: the call takes integers and touches no memory of ours.
    let answer = unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, least) };
    let descriptor = Errno::result(answer)?;
    // SAFETY: the kernel has just made this descriptor for us; nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Keeps the descriptor `number`, whoever opened it, from programs that are started, or lets them have
/// it.
///
/// # Errors
/// EBADF: there is no such descriptor.
pub fn close_on_exec(number: RawFd, closes: bool) -> io::Result<()> {
    let flag = if closes { libc::FD_CLOEXEC } else { 0 };
    // SAFETY: the call takes integers, touches no memory of ours, and closes nothing now.
    let answer = unsafe { libc::fcntl(number, libc::F_SETFD, flag) };
    Errno::result(answer)?;
    Ok(())
}

/// Returns whether `descriptor` is readable at this moment, or hung up.
pub fn is_readable(descriptor: BorrowedFd<'_>) -> bool {
    wait_readable(descriptor, PollTimeout::ZERO)
}

/// Waits until `descriptor` is readable or hung up; false if `timeout` is over first.
pub fn wait_readable(descriptor: BorrowedFd<'_>, timeout: PollTimeout) -> bool {
    let mut watched = [PollFd::new(descriptor, PollFlags::POLLIN)];
    loop {
        match poll(&mut watched, timeout) {
            Ok(ready) => return ready > 0,
            Err(Errno::EINTR) => {}
            Err(_) => return false,
        }
    }
}
