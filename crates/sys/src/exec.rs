//! The steps that a child takes between fork and exec: those of a program that carries a link
//! ([`confine`]), and those of one that a command line names ([`prepare`]).

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{
    chdir, chroot, getpid, getppid, setgid, setgroups, setsid, setuid, write, Gid, Uid,
};

use crate::signal::default_action;

/// Ties the child that `command` will start to its parent, lets all signals through to it, and
/// takes everything but its standard descriptors away from it.
///
/// The kernel kills the child when the *thread* that started it ends (PR_SET_PDEATHSIG), so
/// children are started by the threads of loops and never by workers that come and go. If the
/// parent had died before the kernel was told, the child finds another parent and ends.
pub fn confine(command: &mut Command) {
    let parent = getpid();
    let last_steps = move || {
        // std leaves the mask as it is, and a loop's thread may have blocked what its signal
        // descriptor reads; a child that cannot be terminated would be the price.
        SigSet::empty().thread_set_mask()?;
        prctl::set_pdeathsig(Signal::SIGKILL)?;
        if getppid() != parent {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
        keep_private();
        Ok(())
    };
    // SAFETY: between fork and exec only async-signal-safe functions may be called. The closure
    // makes four bare system calls, allocates nothing and takes no lock.
    unsafe {
        command.pre_exec(last_steps);
    }
}

/// Steps that a program that a command line names takes between fork and exec, in this order.
#[derive(Debug, Default)]
pub struct LastSteps {
    /// Becomes the leader of a session of its own.
    pub new_session: bool,
    /// Takes its standard input, a terminal, as the session's.
    pub controlling_terminal: bool,
    /// Changes its root directory, and goes there.
    pub root: Option<CString>,
    /// Changes its supplementary groups.
    pub groups: Option<Vec<Gid>>,
    /// Changes its group.
    pub group: Option<Gid>,
    /// Changes its user.
    pub user: Option<Uid>,
    /// Gets the first of each pair under the number of the second.
    pub places: Vec<(OwnedFd, RawFd)>,
    /// Takes one byte, a [`LastStep`]: the one that failed, or the last. Close-on-exec.
    pub report: Option<OwnedFd>,
}

/// The step that a child has come to in its [`LastSteps`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum LastStep {
    /// setsid(2)
    Session = 1,
    /// ioctl(TIOCSCTTY)
    Terminal = 2,
    /// chroot(2)
    Root = 3,
    /// setgroups(2)
    Groups = 4,
    /// setgid(2)
    Group = 5,
    /// setuid(2)
    User = 6,
    /// dup2(2)
    Place = 7,
    /// execve(2)
    Exec = 8,
}

impl LastStep {
    /// The step that `byte` reports.
    pub fn reported(byte: u8) -> Option<Self> {
        [
            Self::Session,
            Self::Terminal,
            Self::Root,
            Self::Groups,
            Self::Group,
            Self::User,
            Self::Place,
            Self::Exec,
        ]
        .into_iter()
        .find(|step| *step as u8 == byte)
    }
}

/// Makes the program that `command` will start take `steps`, with no signal blocked or ignored. Of
/// descriptors it has its standard ones, those that are placed, and those that whoever started us
/// left to us and that we have not closed to it: a lock, a secret, a `/dev/fd/63`.
///
/// Unlike a confined one it outlives us.
pub fn prepare(command: &mut Command, steps: LastSteps) {
    let last_steps = move || {
        SigSet::empty().thread_set_mask()?;
        for ignored in Signal::iterator() {
            // Two are refused, and need no change.
            let _ = default_action(ignored);
        }
        let (step, result) = match steps.take() {
            Ok(()) => (LastStep::Exec, Ok(())),
            Err((step, errno)) => (step, Err(io::Error::from(errno))),
        };
        if let Some(report) = &steps.report {
            let _ = write(report, &[step as u8]);
        }
        result
    };
    // SAFETY: between fork and exec only async-signal-safe functions may be called. The closure
    // makes bare system calls with arguments that were prepared before, allocates nothing and takes
    // no lock. setuid(2) and its kin are the libc's, whose locks concern other threads of a process,
    // and a child after fork has none.
    unsafe {
        command.pre_exec(last_steps);
    }
}

impl LastSteps {
    fn take(&self) -> Result<(), (LastStep, Errno)> {
        let at = |step| move |errno| (step, errno);
        if self.new_session {
            setsid().map_err(at(LastStep::Session))?;
        }
        if self.controlling_terminal {
            // SAFETY: the request takes an integer and touches no memory of ours.
            let answer = unsafe { libc::ioctl(libc::STDIN_FILENO, libc::TIOCSCTTY, 0) };
            Errno::result(answer).map_err(at(LastStep::Terminal))?;
        }
        self.change_identity()?;
        for (descriptor, number) in &self.places {
            // SAFETY: this is a child between fork and exec, or a process that ends if the exec fails:
            // no code of ours that owns the descriptor of that number will use it any more.
            let answer = unsafe { libc::dup2(descriptor.as_raw_fd(), *number) };
            Errno::result(answer).map_err(at(LastStep::Place))?;
        }
        Ok(())
    }

    /// Takes those steps that say who a process is: root directory, groups, group and user. The
    /// process may be this one.
    ///
    /// # Errors
    /// The step that failed, and why. Those before it have been taken.
    pub fn change_identity(&self) -> Result<(), (LastStep, Errno)> {
        let at = |step| move |errno| (step, errno);
        if let Some(root) = &self.root {
            chroot(root.as_c_str()).map_err(at(LastStep::Root))?;
            chdir(c"/").map_err(at(LastStep::Root))?;
        }
        if let Some(groups) = &self.groups {
            setgroups(groups).map_err(at(LastStep::Groups))?;
        }
        if let Some(group) = self.group {
            setgid(group).map_err(at(LastStep::Group))?;
        }
        if let Some(user) = self.user {
            setuid(user).map_err(at(LastStep::User))?;
        }
        Ok(())
    }
}

/// Keeps what is open beyond the standard descriptors from a program that is about to start.
///
/// All descriptors of ours are close-on-exec; this is for those that whoever started us left open.
/// Kernels before 5.11 do not know the flag, and there is nothing to put in its place.
fn keep_private() {
    // SAFETY: the call takes integers and touches no memory of ours.
    unsafe {
        libc::syscall(
            libc::SYS_close_range,
            FIRST_PRIVATE_FD,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        );
    }
}

/// The first descriptor after standard input, output and error.
const FIRST_PRIVATE_FD: libc::c_uint = 3;
