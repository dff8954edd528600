//! Why a socket could not be made in a namespace.

use nix::errno::Errno;

/// The reason why a socket could not be made inside a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unborn {
    /// The namespace could not be entered.
    Outside(Errno),
    /// The socket could not be made there.
    Inside(Errno),
}

impl Unborn {
    /// Returns the kernel's answer.
    pub fn errno(self) -> Errno {
        match self {
            Self::Outside(errno) | Self::Inside(errno) => errno,
        }
    }
}
