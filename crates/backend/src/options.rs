//! Options of an operator about how the backends work.

use std::path::{Path, PathBuf};

use nsplice_runtime::{Directory, Settings};
use nsplice_sys::describe;

use crate::error::BackendError;
use crate::external::template::Template;

/// Options of the backends; the default looks everything up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// The nsenter program; `None` searches PATH.
    pub nsenter: Option<PathBuf>,
    /// The socat program; `None` searches PATH.
    pub socat: Option<PathBuf>,
    /// A command in place of nsenter and socat.
    pub command: Option<Template>,
    /// Docker's address, as in `DOCKER_HOST`: `unix:///PATH`. `None` takes the environment's
    /// `DOCKER_HOST`, and without that the usual places.
    pub docker_host: Option<String>,
    /// The root that the paths of container runtimes are below, where that of the node is mounted; `None`
    /// for our own.
    pub root: Option<PathBuf>,
    /// True if a pod's or container's own addresses are tried, too, after localhost, from its inside.
    pub pod_ip: bool,
}

impl Options {
    /// Where pods and containers are looked for.
    pub(crate) fn settings(&self) -> Settings {
        Settings { root: self.root.clone(), docker_host: self.docker_host.clone() }
    }

    /// Opens the directory of the node in which they are looked for.
    pub(crate) fn directory(&self) -> Result<Directory, BackendError> {
        Directory::open(&self.settings()).map_err(|error| {
            let root = self.root.as_deref().unwrap_or_else(|| Path::new("/")).display();
            BackendError::Failed(format!("cannot look below {root}: {}", describe(&error)))
        })
    }
}
