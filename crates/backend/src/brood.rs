//! The children of this process: those that were started here, and the others.
//!
//! A process may have children that it has not started. The first process of a PID namespace (a
//! container's entry point) inherits the orphans of all others, and a shell that has jobs leaves
//! them to what it execs (`job & exec nsplice run`). Nobody but us can reap those, and until somebody
//! does they stay as zombies, each with its PID. Their exit status tells us nothing.
//!
//! Whoever has started a child wants its exit status, which can be collected once. So every child is
//! started by [`start`] and collected within [`collect`], which keep a register, and [`reap_others`]
//! collects what is not in it. It looks only while nobody starts or collects a child: in between, a
//! PID may be in use and not in the register, or the other way round.

use std::collections::BTreeSet;
use std::io;
use std::process::{Child, Command};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use nix::errno::Errno;
use nix::sys::wait::{waitid, Id, WaitPidFlag};

/// PIDs of children that were started here and have not been collected.
static OURS: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

/// Held for reading by those who change what [`OURS`] should be, for writing by who relies on it.
static CHANGES: RwLock<()> = RwLock::new(());

/// The children that [`reap_others`] has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaped {
    /// No child that has ended and that nobody else collects.
    All,
    /// There may be some: a child of ours that is about to be collected hid them. To be called again
    /// in a moment.
    Unsure,
}

fn ours() -> MutexGuard<'static, BTreeSet<u32>> {
    OURS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a child of ours.
pub(crate) fn start(command: &mut Command) -> io::Result<Child> {
    let _changing = CHANGES.read().unwrap_or_else(PoisonError::into_inner);
    let child = command.spawn()?;
    ours().insert(child.id());
    Ok(child)
}

/// Collects the exit status of the child `pid`, which has ended or is about to, by `wait`.
pub(crate) fn collect<T>(pid: u32, wait: impl FnOnce() -> T) -> T {
    let _changing = CHANGES.read().unwrap_or_else(PoisonError::into_inner);
    // Before: as soon as it is collected, its PID may be that of another child of ours.
    ours().remove(&pid);
    wait()
}

/// Reaps the children that have ended and were not started here. Never waits.
pub fn reap_others() -> Reaped {
    let Ok(_changing) = CHANGES.try_write() else { return Reaped::Unsure };
    let ended = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG;
    // The kernel names one that has ended, and the same again until that one is collected.
    loop {
        match waitid(Id::All, ended | WaitPidFlag::WNOWAIT).map(|status| status.pid()) {
            Ok(Some(pid)) => {
                if u32::try_from(pid.as_raw()).is_ok_and(|pid| ours().contains(&pid)) {
                    return Reaped::Unsure;
                }
                // It is there, and collected even if its status has no name.
                let _ = waitid(Id::Pid(pid), ended);
            }
            // Killed by a real-time signal, for which nix has no name, and so it tells no PID either.
            Err(Errno::EINVAL) if ours().is_empty() => drop(waitid(Id::All, ended)),
            _ => return Reaped::All,
        }
    }
}
