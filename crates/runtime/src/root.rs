//! The root that all paths of runtimes are below: the node's own, or where that is mounted.
//!
//! What lies below may be anybody's: a symbolic link that leads out, a FIFO that holds an open(2) up, a
//! device that does things when it is opened, a file without an end. So every path is resolved within
//! the root (openat2(2), RESOLVE_IN_ROOT: links and `..` stop there), a file is looked at before it is
//! opened for reading (O_PATH first), only plain files are read, and no more of them than was asked for.
//!
//! The node's own root needs no walls: there links may lead wherever root put them, and kernels before
//! 5.6, which have no openat2(2), will do.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{open, openat, openat2, OFlag, OpenHow, ResolveFlag};
use nix::sys::stat::{fstat, stat, FileStat, Mode, SFlag};

use nsplice_sys::describe;

use crate::identity::Identity;
use crate::process::Process;

/// A root, and where /proc is below it.
#[derive(Debug)]
pub struct Root {
    path: PathBuf,
    directory: OwnedFd,
    /// Whether it is the root of this process.
    is_own: bool,
    proc: Proc,
}

/// Where the processes of the runtimes are seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Proc {
    /// Our own /proc: its numbers are good for pidfds.
    Own,
    /// Another one, whose numbers mean nothing to us, at this path.
    Other(PathBuf),
}

/// Why a file below the root was not read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// There is none.
    #[error("not there")]
    Absent,
    /// The system refused.
    #[error("{}", describe(&(*.0).into()))]
    System(Errno),
    /// It is a directory, a FIFO, a device, a socket.
    #[error("not a plain file")]
    NotPlain,
    /// It is longer than such a file can be.
    #[error("longer than {0} bytes")]
    TooLong(usize),
    /// There are more files in a directory than can be.
    #[error("more than {0} files")]
    TooMany(usize),
}

impl From<Errno> for FileError {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::ENOENT | Errno::ENOTDIR | Errno::ESRCH => Self::Absent,
            errno => Self::System(errno),
        }
    }
}

impl FileError {
    /// Whether we may not read it.
    pub(crate) fn is_denied(&self) -> bool {
        matches!(self, Self::System(Errno::EACCES | Errno::EPERM))
    }
}

impl Root {
    /// The root of this process.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn own() -> io::Result<Self> {
        Self::at(Path::new("/"))
    }

    /// The root that is mounted at `path`, or stands there as a copy.
    ///
    /// # Errors
    /// When there is no directory at `path`, or where the kernel cannot keep to it (before Linux 5.6).
    pub fn at(path: &Path) -> io::Result<Self> {
        Self::of(open(path, DIRECTORY, Mode::empty())?, path.canonicalize()?)
    }

    /// The root of `process`: its container's files, as it sees them.
    ///
    /// # Errors
    /// ESRCH when it has ended, EACCES or EPERM when its files are not for us (ptrace(2), access mode
    /// checking).
    pub fn of_process(process: &Process) -> io::Result<Self> {
        let directory = process.directory().ok_or(Errno::ESRCH)?;
        Self::of_process_at(directory, Path::new(&format!("/proc/{}", process.pid())))
    }

    /// The root of the process that has `directory` in a /proc, which is at `path` for messages.
    ///
    /// # Errors
    /// Those of [`Self::of_process`].
    pub(crate) fn of_process_at(directory: BorrowedFd<'_>, path: &Path) -> io::Result<Self> {
        let root = openat(directory, "root", DIRECTORY, Mode::empty())?;
        Self::of(root, path.join("root"))
    }

    /// What `directory` is, at `path` for messages.
    fn of(directory: OwnedFd, path: PathBuf) -> io::Result<Self> {
        let own = open("/", DIRECTORY, Mode::empty())?;
        // The root of another mount namespace may be the same directory, with other things mounted below.
        let is_own = Identity::of_fd(&directory)? == Identity::of_fd(&own)?
            && mount_of(directory.as_fd()) == mount_of(own.as_fd());
        let path = if is_own { PathBuf::from("/") } else { path };
        let proc = if is_own { Proc::Own } else { Proc::of(path.join("proc")) };
        let root = Self { path, directory, is_own, proc };
        root.open_path(Path::new("/")).map_err(|error| match error {
            FileError::System(errno) => errno.into(),
            error => io::Error::other(error.to_string()),
        })?;
        Ok(root)
    }

    /// The same, with the processes of the /proc at `proc`, which need not be below it.
    #[must_use]
    pub fn with_proc(mut self, proc: &Path) -> Self {
        self.proc = Proc::of(proc.to_owned());
        self
    }

    /// Whether it is the root of this process.
    pub fn is_own(&self) -> bool {
        self.is_own
    }

    /// Where the processes of the runtimes are seen.
    pub(crate) fn proc(&self) -> &Proc {
        &self.proc
    }

    /// Where `path`, which is absolute below this root, is for us: for messages.
    pub(crate) fn shown(&self, path: &Path) -> PathBuf {
        self.path.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// The whole plain file at `path`, of `most` bytes at most.
    pub(crate) fn read(&self, path: &Path, most: usize) -> Result<Vec<u8>, FileError> {
        self.read_with_status(path, most).map(|(bytes, _)| bytes)
    }

    /// The same, and what fstat(2) said of it before it was read.
    pub(crate) fn read_with_status(
        &self,
        path: &Path,
        most: usize,
    ) -> Result<(Vec<u8>, FileStat), FileError> {
        let held = self.open_path(path)?;
        let status = fstat(&held)?;
        if kind_of(&status) != SFlag::S_IFREG {
            return Err(FileError::NotPlain);
        }
        let way = way_to(held.as_fd());
        let opened =
            open(&way, OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NOCTTY, Mode::empty())?;
        Ok((read_all(opened, most)?, status))
    }

    /// What fstat(2) says of `path`.
    pub(crate) fn status(&self, path: &Path) -> Result<FileStat, FileError> {
        if self.is_own {
            return Ok(stat(path)?);
        }
        Ok(fstat(self.open_path(path)?)?)
    }

    /// The names in the directory `path`, in the order of the alphabet; `most` of them at most.
    pub(crate) fn names(&self, path: &Path, most: usize) -> Result<Vec<String>, FileError> {
        let held = self.open_path(path)?;
        let failed = |error: io::Error| FileError::from(errno_of(&error));
        let mut names = Vec::new();
        for entry in std::fs::read_dir(way_to(held.as_fd())).map_err(failed)? {
            // A name that is not UTF-8 is none that a runtime gave.
            if let Ok(name) = entry.map_err(failed)?.file_name().into_string() {
                if names.len() == most {
                    return Err(FileError::TooMany(most));
                }
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// What is at `path`, for looking and connecting only (O_PATH), and followed nowhere else.
    pub(crate) fn open_path(&self, path: &Path) -> Result<OwnedFd, FileError> {
        self.open(path, OFlag::O_PATH)
    }

    /// The Unix socket at `path`: a path that leads to it, whatever becomes of the first one, as long as
    /// the descriptor lives.
    pub(crate) fn socket(&self, path: &Path) -> Result<(OwnedFd, PathBuf), FileError> {
        let held = self.open_path(path)?;
        let way = way_to(held.as_fd());
        Ok((held, way))
    }

    /// The file at `path` by a path of our own root that has no links in it.
    pub(crate) fn resolved(&self, path: &Path) -> Result<(OwnedFd, PathBuf), FileError> {
        let held = self.open_path(path)?;
        let resolved = nix::fcntl::readlink(&way_to(held.as_fd()))?;
        Ok((held, PathBuf::from(resolved)))
    }

    fn open(&self, path: &Path, flags: OFlag) -> Result<OwnedFd, FileError> {
        let flags = flags | OFlag::O_CLOEXEC | OFlag::O_NOCTTY | OFlag::O_NONBLOCK;
        // O_PATH allows no other flag than these.
        let flags =
            if flags.contains(OFlag::O_PATH) { OFlag::O_PATH | OFlag::O_CLOEXEC } else { flags };
        let relative = path.strip_prefix("/").unwrap_or(path);
        let relative = if relative.as_os_str().is_empty() { Path::new(".") } else { relative };
        if self.is_own {
            return Ok(openat(&self.directory, relative, flags, Mode::empty())?);
        }
        let resolve = ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS;
        let how = OpenHow::new().flags(flags).resolve(resolve);
        Ok(openat2(&self.directory, relative, how)?)
    }
}

impl Proc {
    /// The /proc at `path`: our own if its numbers are ours.
    fn of(path: PathBuf) -> Self {
        let own = std::process::id().to_string();
        match std::fs::read_link(path.join("self")) {
            Ok(number) if number == Path::new(&own) => Self::Own,
            _ => Self::Other(path),
        }
    }

    /// Its path.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Own => Path::new("/proc"),
            Self::Other(path) => path,
        }
    }
}

/// All of the open file `opened`, of `most` bytes at most.
pub(crate) fn read_all(opened: OwnedFd, most: usize) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    // One more tells a file that is too long from one that just fits.
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    File::from(opened)
        .take(limit)
        .read_to_end(&mut bytes)
        .map_err(|error| FileError::from(errno_of(&error)))?;
    if bytes.len() > most {
        return Err(FileError::TooLong(most));
    }
    Ok(bytes)
}

fn errno_of(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

/// A path to what `held` has open.
fn way_to(held: BorrowedFd<'_>) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", held.as_raw_fd()))
}

/// The number of the mount that `held` is on (proc_pid_fdinfo(5)); `None` where /proc does not tell.
fn mount_of(held: BorrowedFd<'_>) -> Option<String> {
    let about = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", held.as_raw_fd())).ok()?;
    about.lines().find_map(|line| Some(line.strip_prefix("mnt_id:")?.trim().to_owned()))
}

/// The type of a file.
fn kind_of(status: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(status.st_mode) & SFlag::S_IFMT
}

const DIRECTORY: OFlag = OFlag::O_PATH.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);
