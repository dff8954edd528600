//! Errors of a loop itself.

use std::io;

/// An error that keeps a loop from starting or going on.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// epoll, eventfd or a descriptor could not be had.
    #[error("cannot {what}: {}", nsplice_sys::describe(.source))]
    System {
        /// The attempt that failed, as in "cannot {what}".
        what: &'static str,
        /// The system's answer.
        source: io::Error,
    },
    /// The loop drains or has been stopped, and takes nothing new.
    #[error("the loop is draining and takes nothing new")]
    Draining,
    /// The service has been retired, or is one of another loop.
    #[error("there is no such service, or it drains already")]
    NoSuchService,
}

impl RelayError {
    pub(super) fn when(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { what, source }
    }
}
