//! Pairs of ports as `kubectl port-forward` writes them: `[LOCAL:]REMOTE`.
//!
//! `8080` listens on the number it forwards to, `18080:8080` on another, `:8080` (or `0:8080`) on
//! one that the kernel finds free.

use std::fmt;
use std::str::FromStr;

/// A pair of ports: the one to listen on, and the one to reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PortPair {
    /// The port to listen on; `None` lets the kernel choose a free one.
    pub(crate) local: Option<u16>,
    /// The port inside the target, 1 to 65535.
    pub(crate) remote: u16,
}

/// An error in a pair of ports.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PortError {
    /// More or other parts than two ports.
    #[error("`{0}` is not [LOCAL:]REMOTE: write 8080, 18080:8080 or :8080 (a free local port)")]
    Form(String),
    /// A part is not a port number.
    #[error("`{0}` is not a port: ports are numbers from 1 to 65535")]
    Number(String),
}

impl FromStr for PortPair {
    type Err = PortError;

    fn from_str(text: &str) -> Result<Self, PortError> {
        let parts: Vec<&str> = text.split(':').collect();
        match parts.as_slice() {
            [] | [""] => Err(PortError::Form(text.to_owned())),
            [both] => {
                let remote = port(both)?;
                Ok(Self { local: Some(remote), remote })
            }
            ["" | "0", remote] => Ok(Self { local: None, remote: port(remote)? }),
            [local, remote] => Ok(Self { local: Some(port(local)?), remote: port(remote)? }),
            _ => Err(PortError::Form(text.to_owned())),
        }
    }
}

impl fmt::Display for PortPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.local {
            Some(local) => write!(f, "{local}:{}", self.remote),
            None => write!(f, ":{}", self.remote),
        }
    }
}

/// A port that can be connected to, 1 to 65535.
pub(crate) fn port(text: &str) -> Result<u16, PortError> {
    // Only digits: FromStr for u16 would take "+80" as well.
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(port) if digits && port > 0 => Ok(port),
        _ => Err(PortError::Number(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_kubectl() {
        for (text, local, remote) in [
            ("8080", Some(8080), 8080),
            ("18080:8080", Some(18080), 8080),
            (":8080", None, 8080),
            ("0:8080", None, 8080),
            ("1:65535", Some(1), 65535),
        ] {
            assert_eq!(text.parse(), Ok(PortPair { local, remote }), "{text}");
        }
    }

    #[test]
    fn what_is_no_pair_is_refused() {
        for text in ["", ":", "::", "1:2:3", "8080:", "[::1]:8080"] {
            assert!(text.parse::<PortPair>().is_err(), "{text}");
        }
        for (text, culprit) in [
            ("0", "0"),
            (":0", "0"),
            ("80:0", "0"),
            ("65536", "65536"),
            ("65536:80", "65536"),
            ("-1", "-1"),
            ("+80", "+80"),
            ("http", "http"),
            ("80 :80", "80 "),
            ("99999999999999999999", "99999999999999999999"),
        ] {
            let error = PortError::Number(culprit.to_owned());
            assert_eq!(text.parse::<PortPair>(), Err(error), "{text}");
        }
    }
}
