//! Failures of a comparison, and the exit code of each.

use std::io;
use std::path::PathBuf;

use nsplice_backend::BackendError;
use nsplice_compare::json::JsonError;
use nsplice_compare::{CompareError, StageError};
use nsplice_sys::describe;

use crate::exit::Exit;
use crate::failure::Failure;

/// The reason why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ComparingError {
    /// The comparison itself.
    #[error(transparent)]
    Compare(#[from] CompareError),
    /// The older one, or the JSON of this one.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// The page.
    #[error("cannot write the page {}: {}", path.display(), describe(source))]
    Page {
        /// Its path.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

impl ComparingError {
    /// The exit code that tells it to scripts.
    fn exit(&self) -> Exit {
        match self {
            Self::Compare(CompareError::Stage(error)) => match error {
                StageError::Target(error) => Exit::of_backend(BackendError::kind(error)),
                StageError::Forbidden(_) => Exit::Privilege,
                StageError::Port { .. } => Exit::Listen,
                _ => Exit::Failed,
            },
            Self::Compare(_) | Self::Json(_) | Self::Page { .. } => Exit::Failed,
        }
    }
}

impl From<ComparingError> for Failure {
    fn from(error: ComparingError) -> Self {
        Self::Told { exit: error.exit(), sentence: error.to_string() }
    }
}

/// Makes a failure of the command of `error`.
pub(super) fn comparing(error: impl Into<ComparingError>) -> Failure {
    error.into().into()
}
