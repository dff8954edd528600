//! Failures: reasons why a measurement could not be made.
//!
//! Three kinds, because three people can help: the one who typed the command, the one who owns the
//! machine, and the one who wrote the relay.

use std::{fmt, io};

/// A measurement that was not made, and why.
#[derive(Debug)]
pub enum Failure {
    /// The command line cannot be meant.
    Usage(String),
    /// The system refused something that has nothing to do with the relay.
    System {
        /// The attempt that failed, as "open /proc/1/stat".
        tried: String,
        /// The system's answer.
        source: io::Error,
    },
    /// The relay did not do what a relay does.
    Relay(String),
}

impl Failure {
    /// The system said no to `tried`.
    pub fn system(tried: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self::System { tried: tried.into(), source: source.into() }
    }

    /// The exit status for it: 2 for usage, as in nsplice itself, otherwise 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::System { .. } | Self::Relay(_) => 1,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(why) => f.write_str(why),
            Self::System { tried, source } => write!(f, "cannot {tried}: {source}"),
            Self::Relay(why) => write!(f, "relay: {why}"),
        }
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::System { source, .. } => Some(source),
            Self::Usage(_) | Self::Relay(_) => None,
        }
    }
}
