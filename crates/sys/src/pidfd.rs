//! Processes by descriptor: pidfd_open(2) and pidfd_send_signal(2).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::sys::signal::Signal;

/// A descriptor of the process `pid`, close-on-exec (Linux 5.3).
///
/// # Errors
/// ESRCH: there is no such process. EINVAL or ENOENT: `pid` is a thread of one. ENOSYS: the kernel
/// is too old.
pub fn pidfd_open(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: the call takes two integers and touches no memory of ours.
    let answer = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let descriptor = i32::try_from(checked(answer)?).map_err(io::Error::other)?;
    // SAFETY: the kernel has just made this descriptor for us; nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Sends `signal` to the process behind `pidfd` (Linux 5.1).
///
/// # Errors
/// ESRCH: it has been reaped. EPERM: it is another user's.
pub fn pidfd_send_signal(pidfd: BorrowedFd<'_>, signal: Signal) -> io::Result<()> {
    let no_info: *const libc::siginfo_t = std::ptr::null();
    // SAFETY: a null siginfo is allowed and means what kill(2) would send.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal as libc::c_int,
            no_info,
            0,
        )
    };
    checked(answer).map(drop)
}

fn checked(answer: libc::c_long) -> io::Result<libc::c_long> {
    if answer == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(answer)
    }
}
