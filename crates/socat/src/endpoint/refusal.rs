//! Errors of openings that are no endpoint's own.

use nix::errno::Errno;
use nsplice_relay::{OpenClass, OpenError};
use nsplice_sys::describe;

/// A look-up ended without an answer.
pub(crate) fn no_answer() -> OpenError {
    OpenError::new(OpenClass::Other, "a name look-up broke")
}

/// There is no timer for a time that was asked for.
pub(crate) fn no_timer(errno: Errno) -> OpenError {
    let told = format!("timerfd_create(): {}", describe(&errno.into()));
    OpenError::new(OpenClass::of_errno(errno), told)
}
