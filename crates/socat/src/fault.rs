//! Faults that keep a command line from being run, in socat's words.

use std::fmt;

/// The environment variable that names a real socat, to which a command line can be handed over.
pub(crate) const FALLBACK_VARIABLE: &str = "NSPLICE_SOCAT_FALLBACK";

/// A failure that is told at level E and ends with an exit status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Fault {
    /// The text after the level, word for word as socat prints it.
    pub(crate) message: String,
    /// The exit status; 1 for nearly everything.
    pub(crate) status: u8,
    /// True if socat knows this word and only nsplice does not, so that handing the command line to
    /// a real socat would help.
    pub(crate) foreign: bool,
}

impl Fault {
    /// A failure with exit status 1.
    pub(crate) fn new(message: impl fmt::Display) -> Self {
        Self { message: message.to_string(), status: 1, foreign: false }
    }

    /// Makes the fault of what socat can do and nsplice will not.
    pub(crate) fn not_implemented(what: impl fmt::Display) -> Self {
        let message = format!(
            "{what} is not implemented in nsplice (socat compatibility); \
             {FALLBACK_VARIABLE}=/path/to/socat hands it to a real one"
        );
        Self { message, status: 1, foreign: true }
    }
}
