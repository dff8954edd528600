//! A CRI socket as a source: containerd's, CRI-O's or cri-dockerd's.

use std::path::{Path, PathBuf};

use crate::root::Root;
use crate::sighting::Sighting;
use crate::source::SourceError;
use crate::wanted::Wanted;

/// A CRI socket.
#[derive(Debug)]
pub(crate) struct Cri {
    socket: PathBuf,
}

impl Cri {
    /// The one at `socket`.
    pub(crate) fn at(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into() }
    }

    /// Where it is.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// All sandboxes and containers.
    pub(crate) fn list(&self, root: &Root) -> Result<Vec<Sighting>, SourceError> {
        Err(self.unspoken(root))
    }

    /// The sandboxes and containers that may be `wanted`, with their PIDs.
    pub(crate) fn find(&self, root: &Root, _: &Wanted) -> Result<Vec<Sighting>, SourceError> {
        Err(self.unspoken(root))
    }

    /// What it says now of the sandbox or container that it said `sighting` of.
    pub(crate) fn again(&self, root: &Root, _: &Sighting) -> Result<Option<Sighting>, SourceError> {
        Err(self.unspoken(root))
    }

    fn unspoken(&self, root: &Root) -> SourceError {
        match root.socket(&self.socket) {
            Ok(_) => SourceError::Failed("gRPC is not spoken by this version".to_owned()),
            Err(_) => SourceError::Absent,
        }
    }
}
