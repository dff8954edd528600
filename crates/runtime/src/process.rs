//! A process that is held, and the network namespaces it was and is in.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use nix::errno::Errno;

use crate::identity::Identity;

/// A process that was alive when it was found.
#[derive(Debug)]
pub struct Process {
    held: nsplice_sys::Process,
    identity: Option<Identity>,
}

impl Process {
    /// Takes hold of the process `pid`.
    ///
    /// # Errors
    /// Those of [`nsplice_sys::Process::find`].
    pub fn find(pid: u32) -> Result<Self, Errno> {
        let held = nsplice_sys::Process::find(pid)?;
        let identity = identity_of(&held);
        Ok(Self { held, identity })
    }

    /// Its number; good for nothing once [`Self::is_alive`] says no.
    pub fn pid(&self) -> u32 {
        self.held.pid()
    }

    /// The network namespace it was in when it was found; `None` if we may not know.
    pub fn identity(&self) -> Option<Identity> {
        self.identity
    }

    /// The network namespace it is in now; `None` if it has ended or we may not know.
    pub fn identity_now(&self) -> Option<Identity> {
        identity_of(&self.held)
    }

    /// Its directory `/proc/PID`, see [`nsplice_sys::Process::directory`].
    pub fn directory(&self) -> Option<BorrowedFd<'_>> {
        self.held.directory()
    }

    /// Returns whether it is known to be in another user namespace than we are.
    pub fn has_other_user_namespace(&self) -> bool {
        let name = Path::new("ns/user");
        let its = self.directory().and_then(|directory| Identity::below(directory, name).ok());
        let own = Identity::of_path(Path::new("/proc/self/ns/user")).ok();
        its.zip(own).is_some_and(|(its, own)| its != own)
    }

    /// Returns whether it is the process that `other` is, and has not ended.
    pub fn is_same(&self, other: &Self) -> bool {
        // Whoever lives at the second look has had its number at the first one, too.
        self.pid() == other.pid() && self.is_alive() && other.is_alive()
    }

    /// Returns whether it has not ended yet.
    pub fn is_alive(&self) -> bool {
        self.held.is_alive()
    }
}

impl AsFd for Process {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.held.as_fd()
    }
}

fn identity_of(process: &nsplice_sys::Process) -> Option<Identity> {
    Identity::below(process.directory()?, Path::new("ns/net")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    use nix::poll::PollTimeout;
    use nsplice_sys::wait_readable;

    #[test]
    fn a_process_has_a_namespace_until_it_ends() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let process = Process::find(child.id()).unwrap();
        assert_eq!(process.identity(), Identity::of_path("/proc/self/ns/net".as_ref()).ok());
        let [same, ourselves] =
            [child.id(), std::process::id()].map(|pid| Process::find(pid).unwrap());
        assert!(process.is_same(&same) && !process.is_same(&ourselves));
        drop(child.stdin.take());
        assert!(wait_readable(process.as_fd(), PollTimeout::try_from(20_000).unwrap()));
        assert_eq!(process.identity_now(), None, "a zombie has no namespace");
        assert!(!process.is_same(&same), "the number may be another one's");
        assert_eq!(Process::find(child.id()).unwrap_err(), Errno::ESRCH);
        child.wait().unwrap();
    }
}
