//! The levels of messages.

use std::fmt;

/// Importance of a message, from the least; the letter is what is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// D
    Debug,
    /// I
    Info,
    /// N
    Notice,
    /// W
    Warning,
    /// E
    Error,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Debug => "D",
            Self::Info => "I",
            Self::Notice => "N",
            Self::Warning => "W",
            Self::Error => "E",
        })
    }
}
