//! Failures of sources to answer.

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
