//! The places messages can go to.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::unistd::write;
use nsplice_relay::open::describe;

use crate::fault::Fault;
use crate::language::flags::LogTarget;

use super::syslog::Syslog;
use super::Level;

/// A place messages go to.
#[derive(Debug)]
pub(super) enum Target {
    Stderr,
    File(File),
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
        file.map(Self::File).map_err(|error| {
            Fault::new(format!("option -lf \"{}\": {}", path.display(), describe(&error)))
        })
    }

    /// Writes `line()`, or tells the system's log what it is made of.
    pub(super) fn tell(
        &self,
        level: Level,
        program: &str,
        message: &dyn fmt::Display,
        line: impl FnOnce() -> String,
    ) {
        match self {
            Self::Syslog(syslog) => syslog.tell(level, program, message),
            Self::Mixed { syslog, switched } if switched.load(Ordering::Relaxed) => {
                syslog.tell(level, program, message);
            }
            Self::Stderr | Self::Mixed { .. } => put(io::stderr().as_fd(), &line()),
            Self::File(file) => put(file.as_fd(), &line()),
        }
    }

    pub(super) fn switch_to_syslog(&self) {
        if let Self::Mixed { switched, .. } = self {
            switched.store(true, Ordering::Relaxed);
        }
    }
}

fn put(place: BorrowedFd<'_>, line: &str) {
    // Nobody is left who could be told that this failed.
    let _ = write_whole(place, line.as_bytes());
}

/// Writes all of `bytes`, in one piece where the kernel allows it. A place that is non-blocking (a
/// terminal that standard input shares, say) is waited for.
pub(crate) fn write_whole(place: BorrowedFd<'_>, mut bytes: &[u8]) -> nix::Result<()> {
    while !bytes.is_empty() {
        match write(place, bytes) {
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => {
                let mut places = [PollFd::new(place, PollFlags::POLLOUT)];
                match poll(&mut places, PollTimeout::NONE) {
                    Ok(_) | Err(Errno::EINTR) => {}
                    Err(errno) => return Err(errno),
                }
            }
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}
