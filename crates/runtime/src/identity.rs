//! Network namespaces: how they are told apart, and how they are opened.

use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::stat::{fstat, fstatat, stat, FileStat};
use nix::sys::statfs::{statfs, NSFS_MAGIC};
use serde::{Serialize, Serializer};

/// The identity of a namespace: two descriptors or paths mean the same namespace exactly if device
/// and inode are the same (namespaces(7)). An inode may be used again once its namespace is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The device of the namespace file system.
    pub device: u64,
    /// The inode, the number that `ls -l /proc/self/ns/net` shows.
    pub inode: u64,
}

impl Identity {
    /// The identity of the namespace that `path` leads to.
    pub fn of_path(path: &Path) -> io::Result<Self> {
        Ok(Self::of_status(&stat(path)?))
    }

    /// The identity of the namespace that `path` leads to from `directory`.
    pub fn below(directory: impl AsFd, path: &Path) -> io::Result<Self> {
        Ok(Self::of_status(&fstatat(directory, path, AtFlags::empty())?))
    }

    /// The identity of an open namespace.
    pub fn of_fd(namespace: impl AsFd) -> io::Result<Self> {
        Ok(Self::of_status(&fstat(namespace)?))
    }

    fn of_status(status: &FileStat) -> Self {
        Self { device: status.st_dev, inode: status.st_ino }
    }
}

impl fmt::Display for Identity {
    /// As the links in `/proc/PID/ns` show it: `net:[4026531840]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "net:[{}]", self.inode)
    }
}

impl Serialize for Identity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The flags that a namespace is opened with for setns(2).
///
/// O_NONBLOCK because a path may lead to a FIFO, which would hold an ordinary open(2) up.
pub const OPENING: OFlag =
    OFlag::O_RDONLY.union(OFlag::O_CLOEXEC).union(OFlag::O_NONBLOCK).union(OFlag::O_NOCTTY);

/// Returns whether `path` leads to a namespace of any type, found out without opening it: opening a
/// device can do things.
pub fn is_namespace(path: &Path) -> Result<bool, Errno> {
    Ok(statfs(path)?.filesystem_type() == NSFS_MAGIC)
}
