//! The configuration of `nsplice run`: TOML, read once, checked whole.
//!
//! Two stages. The file's own shape ([`mod@file`]) is what serde reads: unknown keys, wrong types and
//! values that cannot be understood are refused there, and toml knows where they stand. Then the
//! forwards are looked at together: names and addresses that occur twice, a forward that leads to
//! itself. Every refusal reads `FILE:LINE: message`, as editors expect it.

mod file;
mod value;

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nsplice_backend::{Choice, Destination, Options};
use nsplice_relay::Limits;
use nsplice_sys::describe;

use crate::exit::Exit;
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
}

/// A configuration that is refused, and why.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}: {}", path.display(), describe(source))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Something in it makes no sense.
    #[error("{}: {message}", place(path, *line))]
    Refused {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The message: what is wrong there.
        message: String,
    },
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let exit = Exit::Config;
        match error {
            ConfigError::Unreadable { .. } => Self::Told { exit, sentence: error.to_string() },
            ConfigError::Refused { path, line, message } => {
                let place = place(&path, line);
                Self::Written { exit, place, sentence: message }
            }
        }
    }
}

/// A place in the file at `path`, as editors take it.
fn place(path: &Path, line: usize) -> String {
    format!("{}:{line}", path.display())
}

/// Something that makes no sense, in a text whose file is not known here.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Refusal {
    line: usize,
    message: String,
}

/// Reads and checks the configuration at `path`.
pub(crate) fn load(path: &Path) -> Result<Config, ConfigError> {
    let bytes = fs::read(path)
        .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
    decoded(&bytes).and_then(|text| parse(path, text)).map_err(|Refusal { line, message }| {
        ConfigError::Refused { path: path.to_owned(), line, message }
    })
}

/// The text of a file, which TOML has to be.
fn decoded(bytes: &[u8]) -> Result<&str, Refusal> {
    str::from_utf8(bytes).map_err(|error| {
        let (before, after) = bytes.split_at(error.valid_up_to());
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        let byte = after.first().copied().unwrap_or_default();
        Refusal {
            line,
            message: format!("invalid UTF-8: the byte 0x{byte:02x} (TOML must be UTF-8)"),
        }
    })
}

fn parse(path: &Path, text: &str) -> Result<Config, Refusal> {
    let config = file::read(path, text)?;
    if config.forwards.is_empty() {
        let message = "there is no [[forward]]: at least one is needed".to_owned();
        return Err(Refusal { line: text.lines().count().max(1), message });
    }
    let mut known: Vec<&ForwardConfig> = Vec::with_capacity(config.forwards.len());
    for forward in &config.forwards {
        check(forward, &known).map_err(|message| Refusal { line: forward.line, message })?;
        known.push(forward);
    }
    Ok(config)
}

/// Finds what is wrong with `forward` beside the `others` before it.
fn check(forward: &ForwardConfig, others: &[&ForwardConfig]) -> Result<(), String> {
    let name = &forward.name;
    if let Some(other) = others.iter().find(|other| other.name == *name) {
        return Err(format!(
            "name: `{name}` is already the name of the forward in line {}",
            other.line
        ));
    }
    for (index, address) in forward.listen.iter().enumerate() {
        // Each port 0 becomes a port of its own.
        let is_twice = address.port() != 0 && forward.listen[..index].contains(address);
        if is_twice {
            return Err(format!("listen: {address} is listed twice"));
        }
        let other =
            others.iter().find(|other| address.port() != 0 && other.listen.contains(address));
        if let Some(other) = other {
            return Err(format!(
                "listen: {address} is already the address of `{}` in line {}",
                other.name, other.line
            ));
        }
        if forward.destination.leads_to(*address) {
            return Err(format!("target: {} is this forward's own listener", forward.destination));
        }
    }
    Ok(())
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

#[cfg(test)]
mod tests;
