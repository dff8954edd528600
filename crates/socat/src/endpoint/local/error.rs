//! Errors of system calls, in socat's words.

use std::fmt;
use std::io;

use nix::errno::Errno;
use nsplice_relay::{OpenClass, OpenError};
use nsplice_sys::describe;

/// An error of the kernel in answer to `call`, told as socat tells it.
pub(super) fn refused(call: impl fmt::Display, errno: Errno) -> OpenError {
    OpenError::new(OpenClass::of_errno(errno), format!("{call}: {}", strerror(errno)))
}

/// The same for what the standard library was asked.
pub(super) fn failed(call: impl fmt::Display, error: &io::Error) -> OpenError {
    match error.raw_os_error() {
        Some(code) => refused(call, Errno::from_raw(code)),
        None => OpenError::new(OpenClass::Other, format!("{call}: {error}")),
    }
}

/// The system's words for an error.
pub(super) fn strerror(errno: Errno) -> String {
    describe(&errno.into())
}
