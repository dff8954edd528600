//! fork(2): this process twice, or a process that only stands by.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{self, read, ForkResult, Pid};

use crate::signal::default_action;

/// The process that goes on after [`fork`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Branch {
    /// The process that was there before.
    Parent {
        /// The other one.
        child: Pid,
    },
    /// Its copy, which has this thread only.
    Child,
}

/// Splits this process in two (fork(2)): both have all descriptors and all memory, the child has
/// only the calling thread.
///
/// There may be other threads, but whatever lock of ours they hold, the child must have no use for.
/// With a [`crate::Pool`] in the process it is [`crate::Pool::fork`] that is to be called.
///
/// # Errors
/// EAGAIN or ENOMEM, when the system allows no more processes.
pub fn fork() -> io::Result<Branch> {
    // SAFETY: what makes fork dangerous is what other threads hold at that moment. Mostly there are
    // none. The lock that the threads of a pool share is held by its `fork`; the allocator,
    // which they may be in, glibc makes usable in the child (fork handlers, malloc(3)).
    Ok(match unsafe { unistd::fork() }? {
        ForkResult::Parent { child } => Branch::Parent { child },
        ForkResult::Child => Branch::Child,
    })
}

/// Starts a process that does nothing and has nothing but the reading end `leash` of a pipe: it ends
/// with the pipe, or by whatever signal it is sent.
///
/// # Errors
/// EAGAIN or ENOMEM, when the system allows no more processes.
pub fn stand_by(leash: &OwnedFd) -> io::Result<Pid> {
    // SAFETY: the child makes bare system calls only, allocates nothing, takes no lock, and ends by
    // _exit(2), which runs nothing of ours.
    match unsafe { unistd::fork() }? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => {
            wait_for_end(leash);
            // SAFETY: the process ends here, without a look at any memory.
            unsafe { libc::_exit(0) }
        }
    }
}

/// The life of a process that stands by.
fn wait_for_end(leash: &OwnedFd) {
    let number = leash.as_raw_fd();
    bare(number, number);
    while !matches!(read(leash, &mut [0]), Ok(0) | Err(Errno::EBADF)) {}
}

/// Makes a child that will start no program like a new one: signals do what they do by default, and of
/// the descriptors there are only `one` and `other`. Allocates nothing and takes no lock.
pub(crate) fn bare(one: RawFd, other: RawFd) {
    for number in Signal::iterator() {
        // Two are refused, and need no change.
        let _ = default_action(number);
    }
    let _ = SigSet::empty().thread_set_mask();
    let (low, high) = (one.min(other).unsigned_abs(), one.max(other).unsigned_abs());
    for (first, last) in [(0, low), (low + 1, high), (high + 1, libc::c_uint::MAX)] {
        if first < last {
            close_range(first, last - 1);
        }
    }
}

/// Closes all descriptors from `first` to `last`.
fn close_range(first: libc::c_uint, last: libc::c_uint) {
    // SAFETY: what owns these descriptors is never used again in this process.
    let answer = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    if answer == -1 {
        // Before Linux 5.9. SAFETY: as above.
        (first..=last.min(MOST_DESCRIPTORS)).for_each(|number| unsafe {
            libc::close(number.cast_signed());
        });
    }
}

/// As many as the kernel lets a process have unless it is asked for more (`fs.nr_open` is higher, the
/// usual hard limit of RLIMIT_NOFILE is this).
const MOST_DESCRIPTORS: libc::c_uint = 1 << 20;
