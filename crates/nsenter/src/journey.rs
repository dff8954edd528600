//! The way to where the command runs: into namespaces, to another root, to another directory.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::sched::setns;
use nix::unistd::{chdir, chroot, fchdir};

use crate::complaint::Complaint;
use crate::kind::Kind;

/// Where to go.
#[derive(Debug)]
pub(crate) struct Journey {
    /// The namespaces to enter, in the order of [`Kind::ALL`].
    pub(crate) namespaces: Vec<(Kind, OwnedFd)>,
    /// The directory to have as root.
    pub(crate) root: Option<OwnedFd>,
    /// The directory to be in.
    pub(crate) directory: WorkingDirectory,
}

/// The directory to be in.
#[derive(Debug)]
pub(crate) enum WorkingDirectory {
    /// The one we are in, or where entering a mount namespace puts us.
    Same,
    /// One that was opened outside.
    Open(OwnedFd),
    /// One that is looked up after arriving.
    Inside(OsString),
}

impl Journey {
    /// Goes there. There is no way back.
    pub(crate) fn go(self) -> Result<(), Complaint> {
        enter(self.namespaces)?;
        let directory = match self.directory {
            // A new root puts us into it; the directory we are in is kept in hand.
            WorkingDirectory::Same if self.root.is_some() => {
                WorkingDirectory::Open(open_directory(OsStr::new("."))?)
            }
            directory => directory,
        };
        if let Some(root) = self.root {
            fchdir(root).map_err(failed("change directory by root file descriptor failed"))?;
            chroot(".").map_err(failed("chroot failed"))?;
            chdir("/").map_err(failed("change directory failed"))?;
        }
        let directory = match directory {
            WorkingDirectory::Same => return Ok(()),
            WorkingDirectory::Open(directory) => directory,
            WorkingDirectory::Inside(path) => open_directory(&path)?,
        };
        fchdir(directory)
            .map_err(failed("change directory by working directory file descriptor failed"))
    }
}

/// Enters `namespaces`, twice if need be: whoever has the privilege outside enters the user
/// namespace last, for inside it would be gone; to others it is the user namespace that gives it.
fn enter(namespaces: Vec<(Kind, OwnedFd)>) -> Result<(), Complaint> {
    let (mut later, others): (Vec<_>, Vec<_>) =
        namespaces.into_iter().partition(|(kind, _)| *kind == Kind::User);
    later.extend(others.into_iter().filter(|(kind, file)| setns(file, kind.flag()).is_err()));
    for (kind, file) in later {
        let what = format!("reassociate to namespace '{}' failed", kind.path());
        setns(file.as_fd(), kind.flag()).map_err(failed(&what))?;
    }
    Ok(())
}

/// Opens `path` as util-linux does, blocking and without asking what it is.
pub(crate) fn open(path: &OsStr) -> io::Result<OwnedFd> {
    File::open(path).map(OwnedFd::from)
}

fn open_directory(path: &OsStr) -> Result<OwnedFd, Complaint> {
    open(path).map_err(|error| Complaint::system(b"cannot open current working directory", &error))
}

fn failed(what: &str) -> impl FnOnce(Errno) -> Complaint + '_ {
    move |errno| Complaint::system(what.as_bytes(), &io::Error::from(errno))
}
