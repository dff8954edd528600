//! Taking hold of what was decided upon: the process or the namespace, checked before it is trusted.
//!
//! A PID is a claim. It is turned into a pidfd, or an open directory of /proc, and only then looked at: what
//! is seen through those belongs to one process, whoever has its number later. The control group has to
//! name the container; where it names none, the source is asked again, and names the same PID only if the
//! process that is held is the one it means. At the end the process still lives and its namespace is the
//! same as at the beginning.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use nix::errno::Errno;
use nix::fcntl::{openat, OFlag};
use nix::sys::stat::Mode;
use nix::sys::statfs::{fstatfs, NSFS_MAGIC};
use nix::time::{clock_gettime, ClockId};
use nix::unistd::{sysconf, SysconfVar};

use crate::found::{Owner, Place, Vigil};
use crate::identity::Identity;
use crate::process::Process;
use crate::proof::{start_ticks, Evidence, Verdict};
use crate::root::{read_all, FileError, Proc, Root};
use crate::sighting::{ClaimedPid, Sighting};

/// A namespace that is held.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) place: Place,
    pub(crate) vigil: Vigil,
    /// Which namespace it is, if that can be seen.
    pub(crate) identity: Option<Identity>,
}

/// Why nothing is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotHeld {
    /// The process has ended, the file is gone, or the PID is somebody else's.
    Gone,
    /// There is nothing to take hold of: neither a PID nor a namespace is known.
    Unknown,
    /// The system refused, in its words.
    Refused(Errno, String),
}

/// Takes hold of the network namespace of what was seen as `sighting`. `again` asks for its PID once more.
pub(crate) fn hold(
    root: &Root,
    sighting: &Sighting,
    again: impl Fn() -> Option<ClaimedPid>,
) -> Result<Held, NotHeld> {
    let by_process = match &sighting.pid {
        Some(claimed) => process(root, &sighting.id, claimed, again),
        None => Err(NotHeld::Unknown),
    };
    let by_path = match &sighting.namespace {
        Some(path) => namespace(root, path),
        None => Err(NotHeld::Unknown),
    };
    match (by_process, by_path) {
        // The file is what the runtime means; the process tells of the end.
        (Ok(process), Ok(file)) if process.identity != file.identity => {
            Ok(Held { vigil: process.vigil, ..file })
        }
        (Ok(process), _) => Ok(process),
        (Err(_), Ok(file)) => Ok(file),
        (Err(NotHeld::Unknown), Err(error)) | (Err(error), Err(_)) => Err(error),
    }
}

/// Takes hold of the process of what was seen as `sighting`, wherever its network is. `again` asks for its
/// PID once more.
pub(crate) fn owner(
    root: &Root,
    sighting: &Sighting,
    again: impl Fn() -> Option<ClaimedPid>,
) -> Option<Owner> {
    let held = process(root, &sighting.id, sighting.pid.as_ref()?, again).ok()?;
    match (held.place, held.vigil) {
        (Place::Process(process), _) => Some(Owner::Process(process)),
        (Place::Path(path), Vigil::Directory(directory)) => {
            Some(Owner::Directory(Arc::new(directory), path.parent()?.parent()?.to_owned()))
        }
        _ => None,
    }
}

/// Takes hold of the process that the container `id` is said to have.
fn process(
    root: &Root,
    id: &str,
    claimed: &ClaimedPid,
    again: impl Fn() -> Option<ClaimedPid>,
) -> Result<Held, NotHeld> {
    let mut claimed = claimed.clone();
    for _ in 0..ATTEMPTS {
        let held = Grip::take(root.proc(), claimed.pid);
        let verdict = held.as_ref().ok().map(|held| held.evidence().verdict(id, claimed.written));
        match (held, verdict) {
            (Ok(held), Some(Verdict::Its)) => return held.settled().ok_or(NotHeld::Gone),
            (Ok(held), Some(Verdict::Open)) => match again() {
                Some(now) if now.pid == claimed.pid => return held.settled().ok_or(NotHeld::Gone),
                Some(now) => claimed = now,
                None => return Err(NotHeld::Gone),
            },
            (Ok(_), _) | (Err(Errno::ESRCH), _) => match again() {
                Some(now) if now.pid != claimed.pid => claimed = now,
                _ => return Err(NotHeld::Gone),
            },
            (Err(errno), _) => {
                let told = format!("cannot take hold of its process {}", claimed.pid);
                return Err(NotHeld::Refused(errno, told));
            }
        }
    }
    Err(NotHeld::Gone)
}

/// A process that is held and can be looked at.
#[derive(Debug)]
enum Grip {
    /// By its pidfd.
    Process(Arc<Process>),
    /// By its directory at the path, in a /proc that is not ours.
    Directory(OwnedFd, PathBuf),
}

impl Grip {
    fn take(proc: &Proc, pid: u32) -> Result<Self, Errno> {
        match proc {
            Proc::Own => Ok(Self::Process(Arc::new(Process::find(pid)?))),
            Proc::Other(proc) => {
                let path = proc.join(pid.to_string());
                let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
                match nix::fcntl::open(&path, flags, Mode::empty()) {
                    Ok(directory) => Ok(Self::Directory(directory, path)),
                    Err(Errno::ENOENT | Errno::ENOTDIR) => Err(Errno::ESRCH),
                    Err(errno) => Err(errno),
                }
            }
        }
    }

    fn directory(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Process(process) => process.directory(),
            Self::Directory(directory, _) => Some(directory.as_fd()),
        }
    }

    fn evidence(&self) -> Evidence {
        let text = |name: &str, most| {
            let bytes =
                self.directory().and_then(|directory| text_below(directory, name, most).ok());
            String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
        };
        let ticks = start_ticks(&text("stat", MOST_STAT));
        Evidence { cgroup: text("cgroup", MOST_CGROUP), started: ticks.and_then(time_of) }
    }

    /// What is held, if the process still lives where it did.
    fn settled(self) -> Option<Held> {
        let identity = self.namespace("ns/net");
        let (place, vigil) = match self {
            Self::Process(process) => {
                if !process.is_alive() {
                    return None;
                }
                (Place::Process(Arc::clone(&process)), Vigil::Process(process))
            }
            Self::Directory(directory, path) => {
                (Place::Path(path.join("ns/net")), Vigil::Directory(directory))
            }
        };
        Some(Held { place, vigil, identity })
    }

    fn namespace(&self, name: &str) -> Option<Identity> {
        Identity::below(self.directory()?, Path::new(name)).ok()
    }
}

/// Takes hold of the namespace that the file `path` leads to.
fn namespace(root: &Root, path: &Path) -> Result<Held, NotHeld> {
    // The way through a process leads to another one when that has ended.
    if path.starts_with("/proc") {
        return Err(NotHeld::Unknown);
    }
    let refused = |error: FileError| match error {
        FileError::System(errno) => {
            NotHeld::Refused(errno, format!("cannot open {}", root.shown(path).display()))
        }
        _ => NotHeld::Gone,
    };
    let (file, path) = root.resolved(path).map_err(refused)?;
    let is_namespace = fstatfs(&file).is_ok_and(|about| about.filesystem_type() == NSFS_MAGIC);
    let (Ok(identity), true) = (Identity::of_fd(&file), is_namespace) else {
        // The file outlives the mount that made it lead anywhere.
        return Err(NotHeld::Gone);
    };
    match Identity::of_path(&path) {
        Ok(now) if now == identity => Ok(Held {
            vigil: Vigil::Path(path.clone(), identity),
            place: Place::Path(path),
            identity: Some(identity),
        }),
        _ => Err(NotHeld::Gone),
    }
}

/// The text of the file `name` of a directory of /proc.
pub(crate) fn text_below(
    directory: BorrowedFd<'_>,
    name: &str,
    most: usize,
) -> Result<Vec<u8>, FileError> {
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    read_all(openat(directory, name, flags, Mode::empty())?, most)
}

/// When that was which the kernel counts as `ticks` since the system was started (suspended time included).
fn time_of(ticks: u64) -> Option<SystemTime> {
    let per_second = u64::try_from(sysconf(SysconfVar::CLK_TCK).ok()??).ok()?;
    let since_boot = Duration::from(clock_gettime(ClockId::CLOCK_BOOTTIME).ok()?);
    let started = Duration::from_millis(ticks.saturating_mul(1000).checked_div(per_second)?);
    SystemTime::now().checked_sub(since_boot.checked_sub(started)?)
}

/// A container that has another process each time it is looked at is in a restart loop.
const ATTEMPTS: u32 = 3;

/// A line for each hierarchy, and a path has 4096 bytes at most.
pub(crate) const MOST_CGROUP: usize = 64 << 10;

/// One line of numbers.
const MOST_STAT: usize = 4 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sighting::{Kind, Runtime};

    fn claim(pid: u32) -> Option<ClaimedPid> {
        Some(ClaimedPid { pid, written: None })
    }

    /// What is held of a container of no control group whose PID is first said to be `pid`.
    fn held(pid: u32, again: Option<ClaimedPid>) -> Result<u32, NotHeld> {
        let kind = Kind::Container { sandbox: None };
        let sighting =
            Sighting { pid: claim(pid), ..Sighting::of("abc123", kind, Runtime::Docker) };
        let root = Root::own().unwrap();
        match hold(&root, &sighting, || again.clone())?.place {
            Place::Process(process) => Ok(process.pid()),
            place => panic!("{place:?}"),
        }
    }

    #[test]
    fn a_process_that_is_another_one_at_the_second_look_is_not_taken() {
        let (ourselves, init, nobody) = (std::process::id(), 1, i32::MAX.cast_unsigned());
        assert_eq!(held(ourselves, claim(ourselves)), Ok(ourselves));
        assert_eq!(held(init, claim(ourselves)), Ok(ourselves), "it has moved");
        assert_eq!(held(nobody, claim(ourselves)), Ok(ourselves));
        assert_eq!(held(ourselves, None), Err(NotHeld::Gone), "it has been stopped");
        assert_eq!(held(nobody, claim(nobody)), Err(NotHeld::Gone));
        assert_eq!(held(nobody, None), Err(NotHeld::Gone));
    }

    #[test]
    fn what_is_no_namespace_or_leads_through_a_process_is_none() {
        let root = Root::own().unwrap();
        let of = |path: &str| namespace(&root, Path::new(path)).map(drop);
        assert_eq!(of("/proc/self/ns/net"), Err(NotHeld::Unknown));
        assert_eq!(of("/etc/passwd"), Err(NotHeld::Gone));
        assert_eq!(of("/nonexistent"), Err(NotHeld::Gone));
    }
}
