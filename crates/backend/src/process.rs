//! A process, held by a pidfd.
//!
//! A PID is only a number: when its process is gone, another one may get it. A pidfd stays with
//! the process it was opened for, becomes readable when that process ends, and pins nothing of it
//! (no memory, no namespace). So a PID is turned into a pidfd once. An open directory `/proc/PID` is
//! the same for what is to be read: it is opened once, while the pidfd says that the process is alive,
//! and nothing is found there any more when that has ended.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{open, OFlag};
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::stat::Mode;

use crate::netns::identity::Identity;
use crate::sys;

/// A process that was alive when it was found.
#[derive(Debug)]
pub(crate) struct Process {
    pid: u32,
    pidfd: OwnedFd,
    /// `/proc/PID`; `None` where there is no /proc.
    directory: Option<OwnedFd>,
    identity: Option<Identity>,
}

impl Process {
    /// Takes hold of the process `pid`.
    ///
    /// ESRCH: there is none, or it has ended and only its parent has not noticed. EINVAL: `pid` is
    /// a thread. ENOSYS: the kernel has no pidfds.
    pub(crate) fn find(pid: u32) -> Result<Self, Errno> {
        let number = i32::try_from(pid).map_err(|_| Errno::ESRCH)?;
        let pidfd = sys::pidfd_open(number).map_err(|error| errno_of(&error))?;
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let directory = open(format!("/proc/{pid}").as_str(), flags, Mode::empty()).ok();
        let mut process = Self { pid, pidfd, directory, identity: None };
        process.identity = process.identity_now();
        if process.is_alive() {
            Ok(process)
        } else {
            Err(Errno::ESRCH)
        }
    }

    /// Its number; good for nothing once [`Self::is_alive`] says no.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// The network namespace it was in when it was found; `None` if we may not know.
    pub(crate) fn identity(&self) -> Option<Identity> {
        self.identity
    }

    /// The network namespace it is in now; `None` if it has ended or we may not know.
    pub(crate) fn identity_now(&self) -> Option<Identity> {
        Identity::below(self.directory.as_ref()?, Path::new("ns/net")).ok()
    }

    /// Whether it has not ended yet.
    pub(crate) fn is_alive(&self) -> bool {
        !is_readable(self.pidfd.as_fd())
    }
}

impl AsFd for Process {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

/// Whether `descriptor` has something to say at this moment.
pub(crate) fn is_readable(descriptor: BorrowedFd<'_>) -> bool {
    wait_readable(descriptor, PollTimeout::ZERO)
}

/// Waits until `descriptor` has something to say; false if the time is over first.
pub(crate) fn wait_readable(descriptor: BorrowedFd<'_>, timeout: PollTimeout) -> bool {
    let mut watched = [PollFd::new(descriptor, PollFlags::POLLIN)];
    loop {
        match poll(&mut watched, timeout) {
            Ok(ready) => return ready > 0,
            Err(Errno::EINTR) => {}
            Err(_) => return false,
        }
    }
}

fn errno_of(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn a_process_is_alive_until_it_ends_even_while_it_is_a_zombie() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let process = Process::find(child.id()).unwrap();
        assert!(process.is_alive());
        assert_eq!(process.identity(), Identity::of_path("/proc/self/ns/net".as_ref()).ok());
        drop(child.stdin.take());
        assert!(wait_readable(process.as_fd(), PollTimeout::try_from(5000).unwrap()));
        assert!(!process.is_alive());
        assert_eq!(process.identity_now(), None, "a zombie has no namespace");
        assert_eq!(Process::find(child.id()).unwrap_err(), Errno::ESRCH, "a zombie is not found");
        child.wait().unwrap();
        assert_eq!(Process::find(child.id()).unwrap_err(), Errno::ESRCH);
    }

    #[test]
    fn a_number_that_no_process_can_have_is_not_found() {
        assert_eq!(Process::find(u32::MAX).unwrap_err(), Errno::ESRCH);
    }
}
