//! Leaving for a network namespace of our own, with privilege or without.
//!
//! Root needs nothing more. Everybody else becomes root of a user namespace in the same step, where
//! the kernel allows that; it takes this from processes with more than one thread, so it is done
//! first of all.

use std::fs;
use std::io;

use nix::errno::Errno;
use nix::sched::{unshare, CloneFlags};
use nix::unistd::{getegid, geteuid};
use nsplice_backend::of_proc;

use super::{loopback, tuning, StageError};

/// Moves this thread, and all it starts from now on, into a new network namespace.
pub(super) fn depart() -> Result<(), StageError> {
    match unshare(CloneFlags::CLONE_NEWNET) {
        Ok(()) => {}
        Err(Errno::EPERM) => become_root()?,
        Err(errno) => return Err(StageError::system("make a network namespace", errno)),
    }
    loopback::switch_on().map_err(|error| StageError::system("switch loopback on", error))?;
    tuning::apply();
    Ok(())
}

fn become_root() -> Result<(), StageError> {
    let (user, group) = (geteuid(), getegid());
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET).map_err(StageError::Forbidden)?;
    // Who may not change groups may map its own one (user_namespaces(7)).
    let entries = [
        ("setgroups", "deny".to_owned()),
        ("uid_map", format!("0 {user} 1")),
        ("gid_map", format!("0 {group} 1")),
    ];
    for (file, text) in entries {
        match fs::write(format!("/proc/self/{file}"), text) {
            Ok(()) => {}
            // Kernels before 3.19 have none, and need none.
            Err(error) if file == "setgroups" && error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                return Err(StageError::system(format!("write {file}"), of_proc(error)));
            }
        }
    }
    Ok(())
}
