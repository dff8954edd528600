//! The places messages can go to.

use std::fs::OpenOptions;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use nsplice_sys::describe;

use crate::fault::Fault;
use crate::language::flags::LogTarget;

use super::sink::Sink;
use super::syslog::Syslog;

/// A place messages go to.
#[derive(Debug)]
pub(super) enum Target {
    Stderr,
    File(Sink),
    Syslog(Syslog),
    /// Standard error until the switch is thrown.
    Mixed {
        syslog: Syslog,
        switched: AtomicBool,
    },
}

impl Target {
    pub(super) fn new(wanted: &LogTarget) -> Result<Self, Fault> {
        Ok(match wanted {
            LogTarget::Stderr => Self::Stderr,
            LogTarget::Syslog(facility) => Self::Syslog(Syslog::new(*facility)),
            LogTarget::Mixed(facility) => {
                Self::Mixed { syslog: Syslog::new(*facility), switched: AtomicBool::new(false) }
            }
            LogTarget::File(path) => Self::file(path)?,
        })
    }

    /// A file that is appended to.
    pub(super) fn file(path: &Path) -> Result<Self, Fault> {
        let file = OpenOptions::new().append(true).create(true).open(path);
        // socat 1.7.4.4 exits in silence here; a word about it harms nobody.
        file.map(|file| Self::File(Sink::file(file))).map_err(|error| {
            Fault::new(format!("option -lf \"{}\": {}", path.display(), describe(&error)))
        })
    }

    /// Returns where a message goes now; `stderr` is where it goes if nothing else is said.
    pub(super) fn of<'a>(&'a self, stderr: &'a Sink) -> Way<'a> {
        match self {
            Self::Syslog(syslog) => Way::Syslog(syslog),
            Self::Mixed { syslog, switched } if switched.load(Ordering::Relaxed) => {
                Way::Syslog(syslog)
            }
            Self::Stderr | Self::Mixed { .. } => Way::Text(stderr),
            Self::File(sink) => Way::Text(sink),
        }
    }

    pub(super) fn switch_to_syslog(&self) {
        if let Self::Mixed { switched, .. } = self {
            switched.store(true, Ordering::Relaxed);
        }
    }
}

/// The way of a message.
#[derive(Debug, Clone, Copy)]
pub(super) enum Way<'a> {
    /// As a line.
    Text(&'a Sink),
    /// As a datagram.
    Syslog(&'a Syslog),
}
