//! Errors that keep a stage from being made.

use std::io;
use std::net::SocketAddr;

use nix::errno::Errno;
use nsplice_backend::{BackendError, Target};

use crate::load::failure::Failure;

/// An error that keeps a stage from being made.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// The target cannot be had.
    #[error(transparent)]
    Target(#[from] BackendError),
    /// Namespaces cannot be had.
    #[error(
        "cannot make network namespaces: {words}; root may, and everybody else where user namespaces \
         are allowed (sysctl user.max_user_namespaces above 0, and kernel.unprivileged_userns_clone=1 \
         or kernel.apparmor_restrict_unprivileged_userns=0 where these exist)",
        words = .0.desc()
    )]
    Forbidden(Errno),
    /// The process that is to have the target's namespace did not do so.
    #[error("the process that holds the target's namespace did not start: {0}")]
    Holder(String),
    /// Nobody can listen where the servers should.
    #[error("cannot listen on {address} inside {target}: {source}; name another port, or none to have a free one found")]
    Port {
        /// The address.
        address: SocketAddr,
        /// In what.
        target: Target,
        /// The system's answer.
        source: io::Error,
    },
    /// There is no free port.
    #[error("cannot find a free port inside {target}: {source}")]
    NoPort {
        /// In what.
        target: Target,
        /// The reason.
        source: Failure,
    },
    /// The system refused something.
    #[error("cannot {tried}: {source}")]
    System {
        /// The attempt that failed.
        tried: String,
        /// The system's answer.
        source: io::Error,
    },
}

impl StageError {
    pub(super) fn system(tried: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self::System { tried: tried.into(), source: source.into() }
    }
}
