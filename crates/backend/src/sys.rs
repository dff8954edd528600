//! The system calls that neither std nor nix offer as safe functions; the only `unsafe` of nsplice.
//!
//! What is here is as small as it can be: pidfd_open(2), pidfd_send_signal(2), and the few steps a
//! child takes between fork and exec.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::sys::prctl;
use nix::sys::signal::{signal, SigHandler, SigSet, Signal};
use nix::unistd::{getpid, getppid};

/// A descriptor of the process `pid`, close-on-exec (Linux 5.3).
///
/// ESRCH: there is no such process. EINVAL or ENOENT: `pid` is a thread of one. ENOSYS: the kernel
/// is too old.
pub(crate) fn pidfd_open(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: the call takes two integers and touches no memory of ours.
    let answer = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let descriptor = i32::try_from(checked(answer)?).map_err(io::Error::other)?;
    // SAFETY: the kernel has just made this descriptor for us; nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Sends `signal` to the process behind `pidfd` (Linux 5.1).
pub(crate) fn pidfd_send_signal(pidfd: BorrowedFd<'_>, signal: Signal) -> io::Result<()> {
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

/// Ties the child that `command` will start to its parent, lets all signals through to it, and
/// takes everything but its standard descriptors away from it.
///
/// The kernel kills the child when the *thread* that started it ends (PR_SET_PDEATHSIG), so
/// children are started by the threads of loops and never by workers that come and go. If the
/// parent had died before the kernel was told, the child finds another parent and ends.
pub(crate) fn confine(command: &mut Command) {
    let parent = getpid();
    let last_steps = move || {
        // std leaves the mask as it is, and a loop's thread may have blocked what its signal
        // descriptor reads; a child that cannot be terminated would be the price.
        SigSet::empty().thread_set_mask()?;
        prctl::set_pdeathsig(Signal::SIGKILL)?;
        if getppid() != parent {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
        // All descriptors of ours are close-on-exec; this is for those that whoever started us left
        // open. Kernels before 5.11 do not know the flag, and there is nothing to put in its place.
        // SAFETY: the call takes integers and touches no memory of ours.
        unsafe {
            libc::syscall(
                libc::SYS_close_range,
                FIRST_PRIVATE_FD,
                libc::c_uint::MAX,
                libc::CLOSE_RANGE_CLOEXEC,
            );
        }
        Ok(())
    };
    // SAFETY: between fork and exec only async-signal-safe functions may be called. The closure
    // makes four bare system calls, allocates nothing and takes no lock.
    unsafe {
        command.pre_exec(last_steps);
    }
}

/// Makes sure that the exit statuses of children are kept for us.
///
/// A process that ignores SIGCHLD has its children reaped by the kernel, statuses and all (wait(2),
/// notes), and the disposition is inherited through execve(2): some supervisors start us so.
pub(crate) fn keep_exit_statuses() {
    // SAFETY: the default disposition runs no code of ours. Nothing else in this process sets one
    // for SIGCHLD.
    let former = unsafe { signal(Signal::SIGCHLD, SigHandler::SigDfl) };
    // Only an invalid signal number is refused.
    debug_assert!(former.is_ok());
}

fn checked(answer: libc::c_long) -> io::Result<libc::c_long> {
    if answer == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(answer)
    }
}

/// The first descriptor after standard input, output and error.
const FIRST_PRIVATE_FD: libc::c_uint = 3;
