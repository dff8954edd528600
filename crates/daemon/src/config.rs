//! The configuration of `nsplice run`: TOML, read once, checked whole.
//!
//! Two stages. The file's own shape ([`mod@file`]) is what serde reads: unknown keys, wrong types and
//! values that cannot be understood are refused there, and toml knows where they stand. Then the
//! forwards are looked at together: names and addresses that occur twice, a forward that leads to
//! itself. Every refusal reads `FILE:LINE: message`, as editors expect it.

mod file;
mod model;
mod refusal;
mod value;

use std::fs;
use std::path::Path;

pub(crate) use model::{Config, ForwardConfig};
pub(crate) use refusal::ConfigError;

use refusal::Refusal;

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
    if let (true, Some(problem)) =
        (forward.wait_for_target, forward.destination.target.never_comes())
    {
        return Err(format!("wait_for_target: {problem}"));
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

#[cfg(test)]
mod tests;
