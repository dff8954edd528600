//! Becoming the command, or its parent.
//!
//! A process stays in its PID namespace for life; setns(2) into another is for its children only.
//! So there the command is a child, and the parent ends as the child does: by the same exit status,
//! or by the same signal.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::errno::Errno;
use nix::sys::signal::{kill, Signal};
use nix::sys::wait::{waitpid, WaitPidFlag, WaitStatus};
use nix::unistd::{getpid, Pid};
use nsplice_sys::{default_action, Branch};

use crate::complaint::Complaint;
use crate::credentials::Credentials;

/// Whether the command is a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fork {
    /// It takes this process over.
    Never,
    /// It is a child, and this process waits for it.
    Once,
}

/// Runs `command`, or a shell. Answers only if there was a child, with its exit status.
pub(crate) fn run(
    command: &[OsString],
    credentials: &Credentials,
    fork: Fork,
) -> Result<u8, Complaint> {
    if fork == Fork::Once {
        // Whoever started us may have SIGCHLD ignored, and then no status would be kept.
        default_action(Signal::SIGCHLD)
            .map_err(|error| Complaint::system(b"signal failed", &error))?;
        match nsplice_sys::fork().map_err(|error| Complaint::system(b"fork failed", &error))? {
            Branch::Parent { child } => return follow(child),
            Branch::Child => {}
        }
    }
    credentials.take()?;
    Err(execute(command))
}

/// Becomes the command, with the environment and the descriptors that we have ourselves. std sets
/// SIGPIPE, which it ignores here, back to its default.
fn execute(command: &[OsString]) -> Complaint {
    let (program, error) = match command.split_first() {
        Some((program, arguments)) => {
            (program.clone(), Command::new(program).args(arguments).exec())
        }
        None => {
            let shell = env::var_os("SHELL").unwrap_or_else(|| OsString::from("/bin/sh"));
            let error = Command::new(&shell).arg0(login_name(&shell)).exec();
            (shell, error)
        }
    };
    let missing = error.kind() == io::ErrorKind::NotFound;
    let what = [b"failed to execute ", program.as_bytes()].concat();
    Complaint::system(&what, &error).with_status(if missing { NOT_FOUND } else { NOT_EXECUTABLE })
}

/// What a login shell is called.
fn login_name(shell: &OsStr) -> OsString {
    let mut name = OsString::from("-");
    let last = shell.as_bytes().rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    name.push(OsStr::from_bytes(last));
    name
}

/// Waits for `child`, stops and goes on with it, and ends as it ends.
fn follow(child: Pid) -> Result<u8, Complaint> {
    loop {
        match waitpid(child, Some(WaitPidFlag::WUNTRACED)) {
            Ok(WaitStatus::Exited(_, status)) => return Ok(u8::try_from(status).unwrap_or(u8::MAX)),
            Ok(WaitStatus::Signaled(_, signal, _)) => {
                // Neither fails for a signal that has just ended a process.
                let _ = default_action(signal);
                let _ = kill(getpid(), signal);
                let number = u8::try_from(signal as i32).unwrap_or_default();
                return Ok(SIGNAL_BASE.saturating_add(number));
            }
            Ok(WaitStatus::Stopped(..)) => {
                let _ = kill(getpid(), Signal::SIGSTOP);
                let _ = kill(child, Signal::SIGCONT);
            }
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(Complaint::system(b"waitpid failed", &errno.into())),
        }
    }
}

/// What shells answer for a command that is not there, for one that cannot be run, and for one that
/// was ended by a signal.
const NOT_FOUND: u8 = 127;
const NOT_EXECUTABLE: u8 = 126;
const SIGNAL_BASE: u8 = 128;
