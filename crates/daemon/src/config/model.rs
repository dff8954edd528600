//! A configuration as it is once it has been read.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nsplice_backend::{Choice, Destination, Options};
use nsplice_relay::Limits;

use super::refusal::place;
use crate::failure::Failure;
use crate::log::{LogFormat, LogLevel};
use crate::values::LoopCount;

/// A configuration that makes sense.
#[derive(Debug)]
pub(crate) struct Config {
    /// The file it was read from.
    pub(crate) path: PathBuf,
    /// The time that links may go on after a request to end; `None` for as long as they like.
    pub(crate) drain_timeout: Option<Duration>,
    /// The format of the log.
    pub(crate) log_format: LogFormat,
    /// The least level that is logged.
    pub(crate) log_level: LogLevel,
    /// The number of loops.
    pub(crate) loops: LoopCount,
    /// True if splice(2) may be used.
    pub(crate) splice: bool,
    /// The forwards, at least one.
    pub(crate) forwards: Vec<ForwardConfig>,
}

/// A forward of the configuration.
#[derive(Debug)]
pub(crate) struct ForwardConfig {
    /// The line that it begins on.
    pub(crate) line: usize,
    /// Its name, which no other has.
    pub(crate) name: String,
    /// Addresses to listen on, at least one.
    pub(crate) listen: Vec<SocketAddr>,
    /// The target to reach.
    pub(crate) destination: Destination,
    /// The backend.
    pub(crate) backend: Choice,
    /// Options of the backend.
    pub(crate) options: Options,
    /// Limits of each link.
    pub(crate) limits: Limits,
    /// Links at once; `None` for as many as there are descriptors.
    pub(crate) max_links: Option<u32>,
    /// True if its addresses are listened on only when the target is there.
    pub(crate) wait_for_target: bool,
}

impl ForwardConfig {
    /// Its place in the file at `path`, as editors take it.
    pub(crate) fn place(&self, path: &Path) -> String {
        place(path, self.line)
    }

    /// A failure of this forward, with its place in the file at `path`.
    pub(crate) fn failure(&self, path: &Path, source: Failure) -> Failure {
        let place = self.place(path);
        Failure::Forward { place, forward: self.name.clone(), source: Box::new(source) }
    }
}
