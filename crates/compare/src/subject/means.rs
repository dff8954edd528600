//! Subjects, and the means by which they reach the target.

use std::net::SocketAddr;
use std::path::PathBuf;

use nsplice_backend::{Choice, Template};

/// One way of reaching the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Its name, for people and as a key.
    pub name: String,
    /// Its kind.
    pub means: Means,
}

/// The means by which a subject reaches the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Means {
    /// nsplice, with one of its backends.
    Backend {
        /// The backend.
        backend: Choice,
        /// True if it may splice.
        splice: bool,
    },
    /// nsplice, with a command for each link.
    Command(Template),
    /// A relay that runs already.
    Peer(Peer),
}

/// A relay that runs already and forwards to the stage's port inside the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// The address it listens on, on the node.
    pub address: SocketAddr,
    /// Its process, if that is known.
    pub pid: Option<u32>,
    /// Its control group, if that is known.
    pub cgroup: Option<PathBuf>,
}
