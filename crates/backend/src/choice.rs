//! The backend that the operator wants.

use std::fmt;
use std::str::FromStr;

/// The backend that opens the upstreams.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Choice {
    /// `setns` where it is permitted, else `external` where it works; `dial` for targets without a
    /// namespace.
    #[default]
    Auto,
    /// In-process: a socket born inside the namespace.
    Setns,
    /// A child program per link: nsenter and socat, or a command of the operator's.
    External,
    /// A plain connect from our own namespace.
    Dial,
}

/// A word that is not a backend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a backend: write auto, setns, external or dial")]
pub struct ChoiceError(String);

impl Choice {
    /// The word for it on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Setns => "setns",
            Self::External => "external",
            Self::Dial => "dial",
        }
    }
}

impl FromStr for Choice {
    type Err = ChoiceError;

    fn from_str(word: &str) -> Result<Self, ChoiceError> {
        [Self::Auto, Self::Setns, Self::External, Self::Dial]
            .into_iter()
            .find(|choice| choice.as_str() == word)
            .ok_or_else(|| ChoiceError(word.to_owned()))
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_read_and_printed_back() {
        for word in ["auto", "setns", "external", "dial"] {
            assert_eq!(word.parse::<Choice>().unwrap().to_string(), word);
        }
        assert_eq!(Choice::default(), Choice::Auto);
        let error = "nsenter".parse::<Choice>().unwrap_err().to_string();
        for word in ["auto", "setns", "external", "dial"] {
            assert!(error.contains(word), "{error}");
        }
    }
}
