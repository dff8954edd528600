//! A source: somebody who may know where a container is.
//!
//! The set is closed: a runtime's API, a runtime's state on disk, or the control groups of the
//! processes. Each can list what it knows, find what may be wanted, and be asked again about one thing.
//! None decides which of several things is meant: that is `decide.rs`, once for all.

use std::path::Path;

use crate::cri::Cri;
use crate::root::Root;
use crate::sighting::Sighting;
use crate::wanted::Wanted;

/// Somebody who may know where a container is.
#[derive(Debug)]
pub enum Source {
    /// A CRI socket: containerd, CRI-O, cri-dockerd.
    Cri(Cri),
}

/// Why a source has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// It is not there: this node has no such runtime.
    #[error("not there")]
    Absent,
    /// It is there, but not for us.
    #[error("{0}")]
    Denied(String),
    /// It is there, but answers nonsense, or not in time.
    #[error("{0}")]
    Failed(String),
}

impl Source {
    /// What it is, in the words of a message: `containerd's state`, `Docker`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Cri(_) => "CRI",
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        match self {
            Self::Cri(cri) => cri.socket(),
        }
    }

    /// All that it knows; PIDs may be left out.
    pub fn list(&self, root: &Root) -> Result<Vec<Sighting>, SourceError> {
        match self {
            Self::Cri(cri) => cri.list(root),
        }
    }

    /// What may be `wanted`, and perhaps more, with all that is needed to enter it.
    pub fn find(&self, root: &Root, wanted: &Wanted) -> Result<Vec<Sighting>, SourceError> {
        match self {
            Self::Cri(cri) => cri.find(root, wanted),
        }
    }

    /// What it says now of the one thing that it said `sighting` of; `None` if that is not there any
    /// more.
    pub fn again(&self, root: &Root, sighting: &Sighting) -> Result<Option<Sighting>, SourceError> {
        match self {
            Self::Cri(cri) => cri.again(root, sighting),
        }
    }
}
