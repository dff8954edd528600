//! What the daemon's log says, read from its JSON.

use std::net::SocketAddr;

use serde::Deserialize;

/// The line about the end of a link.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct End {
    /// Its identity.
    pub(crate) link: String,
    pub(crate) forward: String,
    pub(crate) target: String,
    pub(crate) backend: String,
    pub(crate) client: SocketAddr,
    /// Bytes from the client to the target.
    pub(crate) up: u64,
    /// Bytes from the target to the client.
    pub(crate) down: u64,
    /// `None` if the upstream never was open.
    pub(crate) open_us: Option<u64>,
    pub(crate) duration_ms: u64,
    pub(crate) outcome: String,
    #[serde(default)]
    pub(crate) detail: String,
}

/// The part of any line that tells what it is about.
#[derive(Debug, Deserialize)]
struct Line {
    msg: String,
    #[serde(default)]
    address: Option<SocketAddr>,
}

impl End {
    /// Reads the lines of a log that are about the end of a link.
    pub(crate) fn all_of(lines: &[String]) -> Vec<Self> {
        lines.iter().filter_map(|line| Self::of_line(line)).collect()
    }

    /// Reads a line of the log; `None` if it is about something else.
    fn of_line(line: &str) -> Option<Self> {
        let told: Line = serde_json::from_str(line).ok()?;
        let is_end = told.msg == "link ended";
        is_end.then(|| serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}")))
    }
}

/// The address of a line about a listener; `None` if it is about something else.
pub(crate) fn listening(line: &str) -> Option<SocketAddr> {
    let told: Line = serde_json::from_str(line).ok()?;
    told.address.filter(|_| told.msg == "listening")
}
