//! A namespace as it was found, and why it could not be entered.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use nix::errno::Errno;
use nsplice_relay::{OpenClass, OpenError};
use nsplice_runtime::{Identity, Place, Process};
use nsplice_sys::describe;

use crate::netns::home::Home;
use crate::target::trail::Trail;
use crate::target::Target;

/// The namespace as it was found.
#[derive(Debug, Clone)]
pub(crate) enum Located {
    /// It is our own.
    Home,
    /// Wherever this process is, for as long as it lives.
    Process(Arc<Process>),
    /// Wherever this path leads.
    Path(Arc<Trail>),
    /// Behind these addresses, which are dialled from home: a sandboxed runtime (Kata, gVisor) has no
    /// namespace that would lead to its sockets.
    Behind(Arc<[IpAddr]>),
}

impl Located {
    /// The place that was found; `addresses` are its own.
    pub(crate) fn of(place: &Place, addresses: &[IpAddr]) -> Self {
        match place {
            Place::Home => Self::Home,
            Place::Process(process) => Self::Process(Arc::clone(process)),
            Place::Path(path) => Self::of_path(path),
            Place::Addresses => Self::Behind(addresses.into()),
        }
    }

    /// Wherever `path` leads.
    pub(crate) fn of_path(path: &Path) -> Self {
        Self::Path(Arc::new(Trail::find(path)))
    }

    /// Returns whether sockets for it are made at home, for certain.
    pub(crate) fn is_home(&self) -> bool {
        matches!(self, Self::Home | Self::Behind(_))
    }

    /// Returns whether what is done in `other` is done here, for as long as both are there.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Home, Self::Home) => true,
            (Self::Process(one), Self::Process(other)) => {
                Arc::ptr_eq(one, other) || one.is_same(other)
            }
            (Self::Path(one), Self::Path(other)) => Arc::ptr_eq(one, other) || one.is_same(other),
            (Self::Behind(one), Self::Behind(other)) => one == other,
            _ => false,
        }
    }

    /// Returns which namespace it is now, if that can be told.
    pub(crate) fn identity(&self, home: &Home) -> Option<Identity> {
        match self {
            Self::Home => Some(home.identity()),
            Self::Process(process) => process.identity_now(),
            Self::Path(trail) => trail.identity(),
            Self::Behind(_) => None,
        }
    }
}

/// Tells in a sentence why the namespace of `target` could not be entered.
pub(crate) fn entry_failed(target: &Target, located: &Located, errno: Errno) -> OpenError {
    let words = describe(&errno.into());
    let class = OpenClass::of_errno(errno);
    let detail = match (located, errno) {
        (Located::Path(trail), Errno::EINVAL) => {
            return OpenError::new(OpenClass::TargetGone, no_namespace(target, trail.path()));
        }
        (Located::Process(process), Errno::EPERM) if process.has_other_user_namespace() => format!(
            "cannot enter the network namespace of {target}: {words}; it belongs to a user namespace \
             that is not this user's, as containers of rootless podman and Docker do: run as its user, \
             or run as root"
        ),
        (_, Errno::EPERM) => format!(
            "cannot enter the network namespace of {target}: {words}; CAP_SYS_ADMIN is needed, and \
             CAP_SYS_PTRACE for processes of other users: run as root"
        ),
        (Located::Process(_) | Located::Path(_), Errno::ESRCH) => {
            format!("{target} is gone: its process has ended")
        }
        (Located::Process(_), Errno::EINVAL | Errno::EBADF) => format!(
            "cannot enter the network namespace of {target}: {words}; setns(2) with a pidfd needs \
             Linux 5.8"
        ),
        (Located::Path(trail), Errno::ENOENT | Errno::ENOTDIR) => {
            let path = trail.path().display();
            let detail = format!("{target} does not exist: {path}: {words}");
            return OpenError::new(OpenClass::TargetGone, detail);
        }
        (Located::Path(trail), _) => {
            let path = trail.path().display();
            format!("cannot enter the network namespace of {target} at {path}: {words}")
        }
        _ => format!("cannot enter the network namespace of {target}: {words}"),
    };
    OpenError::new(class, detail)
}

/// Tells that there is something else at `path`.
pub(crate) fn no_namespace(target: &Target, path: &Path) -> String {
    format!("{target}: {} is not a network namespace", path.display())
}
