//! A trail: a path to a network namespace, followed to wherever it leads at the moment.
//!
//! What a path leads to may be another namespace the next time, and that is meant: a name under the
//! run directory is given to a container's next life. There is one exception. A path through
//! `/proc/PID` means a process, and the number may be another process's tomorrow. Such a directory is
//! held from the first time it was seen: an open directory of `/proc/PID` stays with its process (not
//! with the number), leads nowhere once that has ended, and pins nothing of it.
//!
//! Kernel facts:
//! - Every way from `/proc/PID` to a namespace goes through a magic link (`ns/net`, `root`, `cwd`,
//!   `fd/N`). openat2(2) refuses those if it is told to (RESOLVE_NO_MAGICLINKS, ELOOP), so one call
//!   both opens what is no process's, the rule, and says what else is to be looked at.
//! - All that `/proc` has of ordinary links is at its top: `self`, `thread-self`, `mounts`, `net`. Its
//!   other links are magic; what readlink(2) says of those is no path.
//! - What lies below the directory of a process that has ended is not found: ENOENT for a zombie,
//!   ESRCH later.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use nix::errno::Errno;
use nix::fcntl::{open, openat, openat2, readlink, OFlag, OpenHow, ResolveFlag, AT_FDCWD};
use nix::sys::stat::{stat, Mode};
use nix::sys::statfs::{statfs, PROC_SUPER_MAGIC};

use nsplice_runtime::{Identity, OPENING};

/// A path to a namespace.
#[derive(Debug)]
pub(crate) struct Trail {
    path: PathBuf,
    course: Course,
}

#[derive(Debug)]
enum Course {
    /// The path itself names a process.
    Process(Held),
    /// What it leads through may change; the process that it last led through, if it did.
    Open(Mutex<Option<Arc<Held>>>),
}

/// The directory of a process, and where to go from there.
#[derive(Debug)]
struct Held {
    way: Way,
    directory: OwnedFd,
}

/// The last process that a path leads through.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Way {
    /// Its directory, without ordinary links.
    directory: PathBuf,
    /// What follows.
    rest: PathBuf,
    /// Whether an ordinary link leads there.
    linked: bool,
}

impl Trail {
    /// Takes `path` up, and takes hold of the process that it leads through now, if it does. Nothing
    /// need be there.
    pub(crate) fn find(path: &Path) -> Self {
        let held = way_of(path).and_then(|way| Held::take(way).ok());
        let course = match held {
            Some(held) if !held.way.linked => Course::Process(held),
            held => Course::Open(Mutex::new(held.map(Arc::new))),
        };
        Self { path: path.to_owned(), course }
    }

    /// The path as it was written.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns whether `other` leads to wherever this does: by the same path, which is no process's.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.path == other.path && [self, other].into_iter().all(Self::lacks_process)
    }

    /// The number in a path that is `/proc/PID/ns/net` and nothing else.
    pub(crate) fn pid(&self) -> Option<u32> {
        let Course::Process(held) = &self.course else { return None };
        let number = held.way.directory.strip_prefix("/proc").ok()?.to_str()?.parse().ok()?;
        (held.way.rest == Path::new("ns/net")).then_some(number)
    }

    /// Opens the namespace for setns(2).
    ///
    /// # Errors
    /// ESRCH or ENOENT when the process has ended that the path leads through, whoever has its number
    /// now.
    pub(crate) fn open(&self) -> Result<OwnedFd, Errno> {
        let known = match &self.course {
            Course::Process(held) => return held.open(),
            Course::Open(known) => known,
        };
        let how = OpenHow::new().flags(OPENING).resolve(ResolveFlag::RESOLVE_NO_MAGICLINKS);
        match openat2(AT_FDCWD, &self.path, how) {
            // EPERM is what some sandboxes say of calls that they do not know.
            Err(Errno::ELOOP | Errno::ENOSYS | Errno::EPERM) => self.open_through(known),
            answer => answer,
        }
    }

    fn open_through(&self, known: &Mutex<Option<Arc<Held>>>) -> Result<OwnedFd, Errno> {
        let Some(way) = way_of(&self.path) else {
            return open(&self.path, OPENING, Mode::empty());
        };
        let held = {
            let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
            match &*known {
                Some(held) if held.way == way => Arc::clone(held),
                // The link leads to another process by now.
                _ => Arc::clone(known.insert(Arc::new(Held::take(way)?))),
            }
        };
        held.open()
    }

    /// Returns which namespace it leads to now, if that can be told.
    pub(crate) fn identity(&self) -> Option<Identity> {
        match &self.course {
            Course::Process(held) => Identity::below(&held.directory, &held.way.rest).ok(),
            Course::Open(_) => Identity::of_path(&self.path).ok(),
        }
    }

    /// Looks whether the process lives that the path leads through, if it does.
    ///
    /// # Errors
    /// Those of [`Self::open`].
    pub(crate) fn check(&self) -> Result<(), Errno> {
        let opened = self.open();
        if self.lacks_process() {
            return Ok(());
        }
        opened.map(drop)
    }

    /// Whether it has led through no process so far.
    fn lacks_process(&self) -> bool {
        match &self.course {
            Course::Process(_) => false,
            Course::Open(known) => known.lock().unwrap_or_else(PoisonError::into_inner).is_none(),
        }
    }
}

impl Held {
    fn take(way: Way) -> Result<Self, Errno> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let directory = open(&way.directory, flags, Mode::empty())?;
        Ok(Self { way, directory })
    }

    fn open(&self) -> Result<OwnedFd, Errno> {
        openat(self.directory.as_fd(), &self.way.rest, OPENING, Mode::empty())
    }
}

/// The last process that `path` leads through, found by going along it.
fn way_of(path: &Path) -> Option<Way> {
    let mut way = None;
    let mut here = PathBuf::from("/");
    let mut ahead = words_ahead(path, Vec::new());
    let mut links = 0;
    while let Some(word) = ahead.pop() {
        let next = here.join(&word);
        let surroundings = Surroundings::of(&here);
        if surroundings == Surroundings::TopOfProc && is_number(&word) {
            let rest = ahead.iter().rev().collect();
            way = Some(Way { directory: next.clone(), rest, linked: links > 0 });
        } else if surroundings != Surroundings::InProc {
            if let Ok(leads_to) = readlink(&next) {
                links += 1;
                if links > MOST_LINKS {
                    return None;
                }
                let leads_to = Path::new(&leads_to);
                if leads_to.is_absolute() {
                    here = PathBuf::from("/");
                }
                ahead = words_ahead(leads_to, ahead);
                continue;
            }
        }
        here = next;
    }
    way
}

/// The words of `path` on top of those that follow it, the first one last.
fn words_ahead(path: &Path, mut ahead: Vec<OsString>) -> Vec<OsString> {
    let words = path.components().filter_map(|component| match component {
        Component::Normal(word) => Some(word.to_owned()),
        // Where it leads to depends on magic links before it: left to the kernel.
        Component::ParentDir => Some(OsString::from("..")),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    });
    ahead.extend(words.collect::<Vec<_>>().into_iter().rev());
    ahead
}

/// What kind of directory a word is looked up in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Surroundings {
    Ordinary,
    /// Where the directories of processes are.
    TopOfProc,
    /// Below that, where links are magic.
    InProc,
}

impl Surroundings {
    fn of(directory: &Path) -> Self {
        match statfs(directory) {
            Ok(about) if about.filesystem_type() == PROC_SUPER_MAGIC => match stat(directory) {
                Ok(status) if status.st_ino == PROC_ROOT_INODE => Self::TopOfProc,
                _ => Self::InProc,
            },
            _ => Self::Ordinary,
        }
    }
}

fn is_number(word: &OsStr) -> bool {
    !word.is_empty() && word.as_encoded_bytes().iter().all(u8::is_ascii_digit)
}

/// include/linux/proc_fs.h in the kernel.
const PROC_ROOT_INODE: u64 = 1;

/// As many as the kernel follows (path_resolution(7)).
const MOST_LINKS: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn way(path: impl AsRef<Path>) -> Option<(String, String, bool)> {
        let Way { directory, rest, linked } = way_of(path.as_ref())?;
        Some((directory.display().to_string(), rest.display().to_string(), linked))
    }

    #[test]
    fn the_last_process_of_a_path_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let link = directory.path().join("link");
        let to_proc = directory.path().join("proc");
        symlink("/proc/1/ns/net", &link).unwrap();
        symlink("/proc", &to_proc).unwrap();
        let found = |directory: &str, rest: &str, linked| {
            Some((directory.to_owned(), rest.to_owned(), linked))
        };
        let own = format!("/proc/{}", std::process::id());
        let thread = format!("task/{}/ns/net", nix::unistd::gettid());
        assert_eq!(way("/proc/1/ns/net"), found("/proc/1", "ns/net", false));
        assert_eq!(way("//proc/./1//ns/net"), found("/proc/1", "ns/net", false));
        assert_eq!(way("/proc/1/task/1/ns/net"), found("/proc/1", "task/1/ns/net", false));
        assert_eq!(way("/proc/self/ns/net"), found(&own, "ns/net", true));
        assert_eq!(way("/proc/thread-self/ns/net"), found(&own, &thread, true));
        assert_eq!(way(&link), found("/proc/1", "ns/net", true));
        assert_eq!(way(to_proc.join("1/ns/net")), found("/proc/1", "ns/net", true));
        let inside = format!("{own}/root/proc/1/ns/net");
        assert_eq!(way(&inside), found(&format!("{own}/root/proc/1"), "ns/net", false));
        let other = format!("{own}/root/etc/1/passwd");
        assert_eq!(way(&other), found(&own, "root/etc/1/passwd", false));
    }

    #[test]
    fn a_path_that_no_process_is_part_of_has_none() {
        let directory = tempfile::tempdir().unwrap();
        let round = directory.path().join("round");
        symlink(&round, &round).unwrap();
        for path in [Path::new("/etc/passwd"), Path::new("/proc/sys/kernel/1"), &round] {
            assert_eq!(way(path), None, "{}", path.display());
        }
        assert_eq!(Trail::find(&round).open().unwrap_err(), Errno::ELOOP);
    }

    #[test]
    fn paths_are_the_same_unless_they_are_of_a_process() {
        let is_same = |one: &str, other: &str| {
            Trail::find(Path::new(one)).is_same(&Trail::find(Path::new(other)))
        };
        assert!(is_same("/run/netns/no-such", "/run/netns/no-such"));
        assert!(!is_same("/run/netns/no-such", "/run/netns/other"));
        // The number may have become another one's between the two.
        assert!(!is_same("/proc/self/ns/net", "/proc/self/ns/net"));
    }

    #[test]
    fn only_the_plain_path_of_a_process_is_as_good_as_its_number() {
        let own = std::process::id();
        let pid = |path: String| Trail::find(Path::new(&path)).pid();
        assert_eq!(pid(format!("/proc/{own}/ns/net")), Some(own));
        assert_eq!(pid(format!("/proc/{own}/task/{own}/ns/net")), None);
        assert_eq!(pid(format!("/proc/{own}/root/proc/{own}/ns/net")), None);
        assert_eq!(pid("/proc/self/ns/net".to_owned()), None);
    }
}
