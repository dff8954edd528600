//! Answers to command lines that are no requests.

use crate::environment::EnvironmentError;

/// The answer to a command line that is not a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Help or the version was asked for.
    Help(String),
    /// It makes no sense; the message says why.
    Usage(String),
}

impl From<EnvironmentError> for Answer {
    fn from(error: EnvironmentError) -> Self {
        Self::Usage(format!("error: {error}"))
    }
}
