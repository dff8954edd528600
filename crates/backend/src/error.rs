//! Errors that keep a plan from being made.

use nsplice_relay::{OpenClass, OpenError};

/// An error that keeps a plan from being made. Each message is a whole sentence that names the
/// target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BackendError {
    /// The parts of the request do not fit together.
    #[error("{0}")]
    Usage(String),
    /// The kernel or a file's mode does not let us.
    #[error("{0}")]
    Privilege(String),
    /// There is no socat. The words are the kubelet's, which people and scripts search for.
    #[error("unable to do port forwarding: socat not found.")]
    SocatNotFound,
    /// There is no nsenter.
    #[error("unable to do port forwarding: nsenter not found.")]
    NsenterNotFound,
    /// A program that was named is not there, or must not be used.
    #[error("{0}")]
    Tool(String),
    /// The process, container or namespace does not exist, or no longer.
    #[error("{0}")]
    NoSuchTarget(String),
    /// Something else went wrong.
    #[error("{0}")]
    Failed(String),
}

/// A kind of [`BackendError`]; exit codes follow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The parts of the request do not fit together.
    Usage,
    /// A privilege is missing.
    Privilege,
    /// A program is missing or must not be used.
    MissingTool,
    /// The target is not there.
    NoSuchTarget,
    /// Anything else.
    Failed,
}

impl BackendError {
    /// Returns the kind of trouble it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Usage(_) => ErrorKind::Usage,
            Self::Privilege(_) => ErrorKind::Privilege,
            Self::SocatNotFound | Self::NsenterNotFound | Self::Tool(_) => ErrorKind::MissingTool,
            Self::NoSuchTarget(_) => ErrorKind::NoSuchTarget,
            Self::Failed(_) => ErrorKind::Failed,
        }
    }
}

/// A target that was to be found again while the relay runs (a restarted container, say).
impl From<BackendError> for OpenError {
    fn from(error: BackendError) -> Self {
        let class = match error.kind() {
            ErrorKind::Usage | ErrorKind::Failed => OpenClass::Other,
            ErrorKind::Privilege => OpenClass::Denied,
            ErrorKind::MissingTool => OpenClass::ToolMissing,
            ErrorKind::NoSuchTarget => OpenClass::TargetGone,
        };
        Self::new(class, error.to_string())
    }
}

/// What an opening would meet, met at start already.
impl From<OpenError> for BackendError {
    fn from(error: OpenError) -> Self {
        match error.class {
            OpenClass::Denied => Self::Privilege(error.detail),
            OpenClass::TargetGone => Self::NoSuchTarget(error.detail),
            OpenClass::ToolMissing => Self::Tool(error.detail),
            _ => Self::Failed(error.detail),
        }
    }
}
