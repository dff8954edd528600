//! Real kubectls, all that this machine has.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::program::Program;
use crate::skip::require_tool;

/// The kubectls of this machine: those of several versions where they lie beside the one in PATH, else
/// that one; none, and a line that says so, where there is none.
///
/// # Panics
/// Where skipping counts as failure, see [`crate::skip::SKIP_IS_FAILURE`].
#[track_caller]
pub fn kubectls(test: &str) -> Vec<PathBuf> {
    let Some(found) = require_tool(test, "kubectl") else { return Vec::new() };
    let real = found.canonicalize().unwrap_or_else(|_| found.clone());
    let beside = real.parent().and_then(|directory| directory.read_dir().ok());
    let paths = beside.into_iter().flatten().flatten().map(|entry| entry.path());
    let is_versioned = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.strip_prefix("kubectl.").is_some_and(|version| version.starts_with("1."))
    };
    let mut versioned: Vec<_> = paths.filter(is_versioned).collect();
    versioned.sort();
    if versioned.is_empty() {
        versioned.push(found);
    }
    versioned
}

/// Starts a kubectl with the server at `server`, no configuration, and its caches below `home`.
///
/// # Panics
/// If it cannot be started.
#[track_caller]
pub fn kubectl(path: &Path, server: SocketAddr, home: &Path, words: &[&str]) -> Program {
    let mut command = Command::new(path);
    command.arg("--server").arg(format!("http://{server}")).args(words);
    command.env("HOME", home).env("KUBECONFIG", "/dev/null").stdin(Stdio::null());
    Program::spawn(&mut command)
}
