//! An endpoint that is opened once and serves all links: the first address, where the second one
//! listens with `fork`.
//!
//! socat opens the first address before it listens, and the process of each client inherits it. Here
//! each link gets duplicates of its own: they share the open file description, with its offset and
//! its end, and closing those of one link leaves the others theirs.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nsplice_relay::{Attempt, Downstream, OpenError, Opener};

use super::local::{answered, copy, pair, Way};

/// Gives what is open already to every link.
#[derive(Debug)]
pub(crate) struct Shared {
    backend: &'static str,
    source: OwnedFd,
    sink: OwnedFd,
}

impl Shared {
    /// Takes what the endpoint of `backend` was opened as.
    ///
    /// # Errors
    /// When there is no descriptor left.
    pub(crate) fn of(backend: &'static str, opened: Downstream) -> Result<Self, OpenError> {
        let (source, sink) = match opened {
            Downstream::Socket(socket) => (copy(socket.as_fd())?, socket),
            Downstream::Pair { source, sink } => (source, sink),
        };
        Ok(Self { backend, source, sink })
    }
}

impl Opener for Shared {
    fn backend(&self) -> &'static str {
        self.backend
    }

    fn open(&mut self, _downstream: Option<BorrowedFd<'_>>) -> Box<dyn Attempt> {
        answered(pair(self.source.as_fd(), self.sink.as_fd(), Way::Both))
    }
}
