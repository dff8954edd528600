//! The namespace that the threads of this process live in.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::fcntl::open;
use nix::sys::stat::Mode;

use nsplice_relay::OpenError;
use nsplice_runtime::{Identity, OPENING};

use crate::netns::delegation::Delegation;
use crate::procfs::of_proc;

/// Home, by a descriptor that leads back to it, and whoever was sent to where its threads may not go.
#[derive(Debug)]
pub(crate) struct Home {
    namespace: OwnedFd,
    identity: Identity,
    delegation: Delegation,
}

impl Home {
    /// The namespace of the calling thread, which is every thread's outside of an excursion.
    pub(crate) fn here() -> io::Result<Self> {
        let namespace = open(Path::new(OF_THIS_THREAD), OPENING, Mode::empty())
            .map_err(|errno| of_proc(errno.into()))?;
        let identity = Identity::of_fd(&namespace)?;
        Ok(Self { namespace, identity, delegation: Delegation::default() })
    }

    /// The same, or a sentence that says why not.
    pub(crate) fn found() -> Result<Self, OpenError> {
        Self::here().map_err(|error| OpenError::from_io("cannot open our own namespace", &error))
    }

    /// Returns which namespace it is.
    pub(crate) fn identity(&self) -> Identity {
        self.identity
    }

    /// Returns who makes sockets beyond.
    pub(crate) fn delegation(&self) -> &Delegation {
        &self.delegation
    }
}

/// The namespace that the calling thread is in.
pub(crate) const OF_THIS_THREAD: &str = "/proc/thread-self/ns/net";

impl AsFd for Home {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.namespace.as_fd()
    }
}
