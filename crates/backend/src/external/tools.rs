//! Finding the programs of the external backend.
//!
//! Programs are looked up once, at start, and run by their absolute paths ever after: a PATH or a
//! directory that changes later changes nothing, and a missing program is an error at start rather
//! than one per link. What others may overwrite is not run with our privileges (see `trust.rs`).

use std::path::{Path, PathBuf};

use which::which;

use crate::error::BackendError;
use crate::external::trust::weakness;
use crate::options::Options;

/// The socat to run.
pub(crate) fn socat(options: &Options) -> Result<PathBuf, BackendError> {
    tool("socat", options.socat.as_deref(), BackendError::SocatNotFound)
}

/// The nsenter to run.
pub(crate) fn nsenter(options: &Options) -> Result<PathBuf, BackendError> {
    tool("nsenter", options.nsenter.as_deref(), BackendError::NsenterNotFound)
}

/// The program of a command.
pub(crate) fn program(name: &str) -> Result<PathBuf, BackendError> {
    let path = which(name).map_err(|_| {
        BackendError::Tool(format!(
            "the program `{name}` of the command was not found, or is not executable"
        ))
    })?;
    trusted(path)
}

/// Returns where `name` is in PATH, whatever it is.
pub(crate) fn in_path(name: &str) -> Option<PathBuf> {
    which(name).ok()
}

/// Returns whether nobody else can put something else in the place of `path`.
pub(crate) fn is_trusted(path: &Path) -> bool {
    matches!(weakness(path), Ok(None))
}

fn tool(name: &str, chosen: Option<&Path>, missing: BackendError) -> Result<PathBuf, BackendError> {
    let found = match chosen {
        None => which(name).map_err(|_| missing)?,
        Some(path) => which(path).map_err(|_| {
            BackendError::Tool(format!(
                "unable to do port forwarding: {name} not found: {} does not exist, or is not executable",
                path.display()
            ))
        })?,
    };
    trusted(found)
}

/// `path` itself, if nobody else can put something else in its place.
///
/// Symbolic links are not replaced by what they lead to: some programs (busybox) go by the name
/// they are called by.
fn trusted(path: PathBuf) -> Result<PathBuf, BackendError> {
    match weakness(&path) {
        Ok(None) => Ok(path),
        Ok(Some(weak)) => {
            Err(BackendError::Tool(format!("refusing to run {}: {weak}", path.display())))
        }
        Err(error) => Err(BackendError::Tool(format!(
            "{} cannot be examined: {}",
            path.display(),
            nsplice_sys::describe(&error)
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{set_permissions, write, Permissions};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_program_that_anyone_could_replace_is_not_run() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socat");
        let options = Options { socat: Some(path.clone()), ..Options::default() };
        let told = |error: BackendError| error.to_string();

        let missing = told(socat(&options).unwrap_err());
        assert!(missing.starts_with("unable to do port forwarding: socat not found"), "{missing}");
        write(&path, "#!/bin/sh\n").unwrap();
        assert!(told(socat(&options).unwrap_err()).contains("not executable"));
        set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        assert_eq!(socat(&options), Ok(path.clone()));
        set_permissions(&path, Permissions::from_mode(0o757)).unwrap();
        assert!(told(socat(&options).unwrap_err()).contains("everyone may write"));
        set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        set_permissions(&directory, Permissions::from_mode(0o777)).unwrap();
        assert!(told(socat(&options).unwrap_err()).contains("everyone may write"));
        set_permissions(&directory, Permissions::from_mode(0o1777)).unwrap();
        assert_eq!(socat(&options), Ok(path));
    }

    #[test]
    fn the_messages_of_the_kubelet() {
        let told =
            [BackendError::SocatNotFound, BackendError::NsenterNotFound].map(|e| e.to_string());
        assert_eq!(told[0], "unable to do port forwarding: socat not found.");
        assert_eq!(told[1], "unable to do port forwarding: nsenter not found.");
        assert!(program("no-such-program-of-nsplice").is_err());
    }
}
