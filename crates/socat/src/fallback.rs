//! Handing a command line over to a real socat, where one is configured.
//!
//! `NSPLICE_SOCAT_FALLBACK` names it; else it is the first `socat1` on PATH, the name under which
//! socat 1.8 installs itself so that `socat` can be something else. The process becomes that program
//! with the same words, the first included. A file that is this program itself, under whatever name,
//! is never run: that would go on for ever. Who asks with -V or -h what can be done is told what both
//! can.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nsplice_sys::describe;

use crate::fault::{Fault, FALLBACK_VARIABLE};

/// What socat 1.8 is called where `socat` is a link.
const OTHER_NAME: &str = "socat1";

/// This process's own program.
const OURSELVES: &str = "/proc/self/exe";

/// Becomes a real socat that is called with `words`, the first of which is the program's name. Comes
/// back only if that is not possible: with nothing if no real socat is known, else with what is
/// wrong with the one that is.
pub(crate) fn replace_by_real(words: &[OsString]) -> Option<Fault> {
    let path = match find(env::var_os(FALLBACK_VARIABLE), env::var_os("PATH"))? {
        Ok(path) => path,
        Err(fault) => return Some(fault),
    };
    let (name, rest) = words.split_first()?;
    let error = Command::new(&path).arg0(name).args(rest).exec();
    Some(unusable(&path, &describe(&error)))
}

/// Asks the real socat that would be handed over to what it answers to `flag`; nothing where there
/// is none.
pub(crate) fn answer_of_real(flag: &str) -> Option<String> {
    let path = find(env::var_os(FALLBACK_VARIABLE), env::var_os("PATH"))?.ok()?;
    let output = Command::new(path).arg(flag).stdin(Stdio::null()).output().ok()?;
    let answered = output.status.success() && !output.stdout.is_empty();
    answered.then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The real socat, or what is wrong with the configured one. `search` is where to look for
/// `socat1`, in the form of PATH.
fn find(configured: Option<OsString>, search: Option<OsString>) -> Option<Result<PathBuf, Fault>> {
    if let Some(configured) = configured.filter(|path| !path.is_empty()) {
        return Some(check(&configured));
    }
    let here = env::current_dir().ok()?;
    let mut found = which::which_in_all(OTHER_NAME, search, here).ok()?;
    found.find(|path| matches!(is_ourselves(path), Ok(false))).map(Ok)
}

/// A configured path, or a bare name that is looked for on PATH.
fn check(configured: &OsStr) -> Result<PathBuf, Fault> {
    let path = which::which(configured)
        .map_err(|error| unusable(Path::new(configured), &error.to_string()))?;
    match is_ourselves(&path) {
        Ok(false) => Ok(path),
        Ok(true) => Err(unusable(&path, "this is nsplice itself")),
        Err(error) => Err(unusable(&path, &describe(&error))),
    }
}

fn is_ourselves(path: &Path) -> io::Result<bool> {
    Ok(identity(&fs::metadata(path)?) == identity(&fs::metadata(OURSELVES)?))
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

fn unusable(path: &Path, why: &str) -> Fault {
    Fault::new(format!("cannot hand over to the real socat \"{}\": {why}", path.display()))
}

#[cfg(test)]
mod tests;
