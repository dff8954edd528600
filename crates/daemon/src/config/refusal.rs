//! Refusals of configurations, each with its place in the file.

use std::io;
use std::path::{Path, PathBuf};

use nsplice_sys::describe;

use crate::exit::Exit;
use crate::failure::Failure;

/// A configuration that is refused, and why.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}: {}", path.display(), describe(source))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Something in it makes no sense.
    #[error("{}: {message}", place(path, *line))]
    Refused {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The message: what is wrong there.
        message: String,
    },
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let exit = Exit::Config;
        match error {
            ConfigError::Unreadable { .. } => Self::Told { exit, sentence: error.to_string() },
            ConfigError::Refused { path, line, message } => {
                let place = place(&path, line);
                Self::Written { exit, place, sentence: message }
            }
        }
    }
}

/// A place in the file at `path`, as editors take it.
pub(super) fn place(path: &Path, line: usize) -> String {
    format!("{}:{line}", path.display())
}

/// Something that makes no sense, in a text whose file is not known here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) line: usize,
    pub(super) message: String,
}
