//! The files of one container in a state directory, and what is looked for there.

use std::path::{Path, PathBuf};

use crate::root::{FileError, Root};
use crate::sighting::{Kind, Runtime, Sighting};
use crate::source::SourceError;

/// One container's files.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: String,
    pub(super) runtime: Runtime,
    /// Where its config may be.
    pub(super) configs: Vec<PathBuf>,
    /// Where its PID is, unless that is in the config.
    pub(super) pid: Option<PathBuf>,
    /// The file that names its shim, by which its handler is known.
    pub(super) shim: Option<PathBuf>,
    pub(super) names: Vec<String>,
}

impl Entry {
    /// What tells it from all others.
    pub(super) fn place(&self) -> &Path {
        self.configs.first().map_or_else(|| Path::new(""), PathBuf::as_path)
    }

    /// What its place alone says.
    pub(super) fn bare(&self) -> Sighting {
        let kind = Kind::Container { sandbox: None };
        Sighting { names: self.names.clone(), ..Sighting::of(&self.id, kind, self.runtime) }
    }
}

/// The names in a directory; `None` where there is none.
pub(super) fn names_in(root: &Root, path: &Path) -> Result<Option<Vec<String>>, SourceError> {
    match root.names(path, MOST_CONTAINERS) {
        Ok(names) => Ok(Some(names)),
        Err(FileError::Absent) => Ok(None),
        Err(error) => {
            let told = format!("{}: {error}", root.shown(path).display());
            Err(if error.is_denied() {
                SourceError::Denied(told)
            } else {
                SourceError::Failed(told)
            })
        }
    }
}

/// A config with many mounts has some hundred kilobytes.
pub(super) const MOST_CONFIG: usize = 1 << 20;

/// A node is not made for more than some hundred pods.
const MOST_CONTAINERS: usize = 20_000;
