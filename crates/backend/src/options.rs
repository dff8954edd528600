//! Options of an operator about how the backends work.

use std::path::PathBuf;

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
    /// `DOCKER_HOST`, and without that `/var/run/docker.sock`.
    pub docker_host: Option<String>,
}
