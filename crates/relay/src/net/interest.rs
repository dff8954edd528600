//! The interest in a registered descriptor.
//!
//! Everything is edge-triggered (mio does nothing else). A stream is watched for reads when the link
//! begins, and for writes as well from the first time its sink is full: until then it is writable
//! anyway, and watching it for that from the start would only wake the loop once more for each side
//! of each link, with nothing to be done. From then on both are watched until the end; closing the
//! descriptor is what ends the registration (epoll(7), question 6). EPOLLERR and EPOLLHUP are
//! reported either way.
//!
//! No wake-up is lost by the change: epoll_ctl(2) looks at the descriptor when it adds or modifies
//! it, and reports at once what is ready by then.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};

/// The interest in a registered descriptor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Watched {
    /// Bytes, urgent ones (EPOLLPRI), and the end of them.
    #[default]
    Reads,
    /// And room for bytes.
    Both,
}

impl Watched {
    fn interest(self) -> Interest {
        match self {
            Self::Reads => Interest::READABLE | Interest::PRIORITY,
            Self::Both => Interest::READABLE | Interest::PRIORITY | Interest::WRITABLE,
        }
    }
}

/// Begins to watch `fd`.
pub(crate) fn register(
    registry: &Registry,
    fd: impl AsFd,
    token: Token,
    watched: Watched,
) -> io::Result<()> {
    registry.register(&mut SourceFd(&fd.as_fd().as_raw_fd()), token, watched.interest())
}

/// Stops watching a descriptor that others may hold as well. epoll(7) forgets a registration when
/// the open file description is closed, which is not yet the case when one of several descriptors
/// is (question 6): it would go on reporting, and stand in the way of a later descriptor with the
/// same number.
pub(crate) fn forget(registry: &Registry, fd: impl AsFd) {
    // Files and some devices were never registered.
    let _ = registry.deregister(&mut SourceFd(&fd.as_fd().as_raw_fd()));
}

/// Watches `fd`, which is registered already, for something else.
pub(crate) fn reregister(
    registry: &Registry,
    fd: impl AsFd,
    token: Token,
    watched: Watched,
) -> io::Result<()> {
    registry.reregister(&mut SourceFd(&fd.as_fd().as_raw_fd()), token, watched.interest())
}
