//! Failures of sources to answer.

use nix::errno::Errno;

use crate::root::FileError;
use crate::wire::WireError;

/// Why a source has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// It is not there: this node has no such runtime.
    #[error("not there")]
    Absent,
    /// It is there, but not for us.
    #[error("{0}")]
    Denied(String),
    /// It is there, but answers nonsense, or not in time.
    #[error("{0}")]
    Failed(String),
}

impl From<FileError> for SourceError {
    fn from(error: FileError) -> Self {
        match error {
            FileError::Absent => Self::Absent,
            error if error.is_denied() => Self::Denied(error.to_string()),
            error => Self::Failed(error.to_string()),
        }
    }
}

impl SourceError {
    /// The failure of a socket to be spoken to; `help` is what would help where nobody listens.
    pub(crate) fn unreachable(error: &WireError, help: &str) -> Self {
        let errno = match error {
            WireError::Connect(reason) => reason.raw_os_error().map(Errno::from_raw),
            WireError::Io(_) | WireError::TimedOut(_) => None,
        };
        match errno {
            Some(Errno::ENOENT | Errno::ENOTDIR) => Self::Absent,
            Some(Errno::EACCES | Errno::EPERM) => {
                Self::Denied(format!("{error}; only root and members of the socket's group may"))
            }
            Some(_) => Self::Failed(format!("{error}; {help}")),
            None => Self::Failed(error.to_string()),
        }
    }
}
