//! A process, held by a pidfd.
//!
//! A PID is only a number: when its process is gone, another one may get it. A pidfd stays with
//! the process it was opened for, becomes readable when that process ends, and pins nothing of it
//! (no memory, no namespace). So a PID is turned into a pidfd once. An open directory `/proc/PID` is
//! the same for what is to be read: it is opened once, while the pidfd says that the process is alive,
//! and nothing is found there any more when that has ended.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{open, OFlag};
use nix::sys::stat::Mode;

use crate::descriptor::is_readable;
use crate::pidfd::pidfd_open;

/// A process that was alive when it was found.
#[derive(Debug)]
pub struct Process {
    pid: u32,
    pidfd: OwnedFd,
    /// `/proc/PID`; `None` where there is no /proc.
    directory: Option<OwnedFd>,
}

impl Process {
    /// Takes hold of the process `pid`.
    ///
    /// # Errors
    /// ESRCH: there is none, or it has ended and only its parent has not noticed. EINVAL: `pid` is
    /// a thread. ENOSYS: the kernel has no pidfds.
    pub fn find(pid: u32) -> Result<Self, Errno> {
        let number = i32::try_from(pid).map_err(|_| Errno::ESRCH)?;
        let pidfd = pidfd_open(number).map_err(|error| errno_of(&error))?;
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let directory = open(format!("/proc/{pid}").as_str(), flags, Mode::empty()).ok();
        let process = Self { pid, pidfd, directory };
        if process.is_alive() {
            Ok(process)
        } else {
            Err(Errno::ESRCH)
        }
    }

    /// Its number; good for nothing once [`Self::is_alive`] says no.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Its directory `/proc/PID`, open for look-ups only (O_PATH), and empty once it has ended; `None`
    /// where there is no /proc.
    pub fn directory(&self) -> Option<BorrowedFd<'_>> {
        self.directory.as_ref().map(OwnedFd::as_fd)
    }

    /// Returns whether it has not ended yet.
    pub fn is_alive(&self) -> bool {
        !is_readable(self.pidfd.as_fd())
    }
}

impl AsFd for Process {
    /// The pidfd: readable once the process has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

pub(crate) fn errno_of(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    use nix::poll::PollTimeout;

    use crate::descriptor::wait_readable;

    #[test]
    fn a_process_is_alive_until_it_ends_even_while_it_is_a_zombie() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let process = Process::find(child.id()).unwrap();
        assert!(process.is_alive());
        drop(child.stdin.take());
        assert!(wait_readable(process.as_fd(), PollTimeout::try_from(20_000).unwrap()));
        assert!(!process.is_alive());
        assert_eq!(Process::find(child.id()).unwrap_err(), Errno::ESRCH, "a zombie is not found");
        child.wait().unwrap();
        assert_eq!(Process::find(child.id()).unwrap_err(), Errno::ESRCH);
    }

    #[test]
    fn a_number_that_no_process_can_have_is_not_found() {
        assert_eq!(Process::find(u32::MAX).unwrap_err(), Errno::ESRCH);
    }
}
