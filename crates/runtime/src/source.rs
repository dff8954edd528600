//! A source: somebody who may know where a container is.
//!
//! The set is closed: a runtime's API, a runtime's state on disk, or the control groups of the
//! processes. Each can list what it knows, find what may be wanted, and be asked again about one thing.
//! None decides which of several things is meant: that is `decide.rs`, once for all.

use std::path::Path;
use std::time::Duration;

use crate::cri::Cri;
use crate::engine::{Engine, Flavour};
use crate::processes::Processes;
use crate::root::Root;
use crate::sighting::{Runtime, Sighting};
use crate::state::State;
use crate::wanted::Wanted;

mod error;

pub use error::SourceError;

/// Somebody who may know where a container is.
#[derive(Debug)]
pub(crate) enum Source {
    /// A CRI socket: containerd, CRI-O, cri-dockerd.
    Cri(Cri),
    /// The API socket of Docker or podman.
    Engine(Engine),
    /// A runtime's state directory.
    State(State),
    /// The control groups of all processes.
    Processes(Processes),
}

impl Source {
    /// What it is, in the words of a message: `containerd's state`, `Docker`.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Cri(_) => "CRI",
            Self::Engine(engine) => engine.flavour.as_str(),
            Self::State(state) => state.name(),
            Self::Processes(_) => "the processes' cgroups",
        }
    }

    /// Where it is.
    pub(crate) fn path<'a>(&'a self, root: &'a Root) -> &'a Path {
        match self {
            Self::Cri(cri) => cri.socket(),
            Self::Engine(engine) => engine.socket(),
            Self::State(state) => state.path(),
            Self::Processes(processes) => processes.path(root),
        }
    }

    /// Sets how long an API may take to answer; files have no limit.
    pub(crate) fn wait_for(&mut self, within: Duration) {
        match self {
            Self::Cri(cri) => cri.within = within,
            Self::Engine(engine) => engine.within = within,
            Self::State(_) | Self::Processes(_) => {}
        }
    }

    /// Whether the operator named it: then it has to be there.
    pub(crate) fn is_named(&self) -> bool {
        matches!(self, Self::Engine(engine) if engine.is_named())
    }

    /// Whether what is `wanted` may be known here.
    pub(crate) fn is_for(&self, wanted: &Wanted) -> bool {
        match (wanted, self) {
            (Wanted::Docker(_), Self::Engine(engine)) => engine.flavour == Flavour::Docker,
            (Wanted::Docker(_), Self::State(state)) => state.is_docker(),
            (Wanted::Docker(_), _) => false,
            _ => true,
        }
    }

    /// The runtime of which nobody knows better than this one, if it answers: what others have written down
    /// may be old (podman keeps the names there that containers were made with).
    pub(crate) fn speaks_for(&self) -> Option<Runtime> {
        match self {
            Self::Engine(engine) => engine.speaks_for(),
            _ => None,
        }
    }

    /// Whether what it says is read from what a runtime has written down.
    pub(crate) fn is_hearsay(&self) -> bool {
        matches!(self, Self::State(_))
    }

    /// Whether it is asked only where no other one knows anything.
    pub(crate) fn is_last_resort(&self) -> bool {
        matches!(self, Self::Processes(_))
    }

    /// All that it knows; PIDs may be left out.
    pub(crate) fn list(&self, root: &Root) -> Result<Vec<Sighting>, SourceError> {
        match self {
            Self::Cri(cri) => cri.list(root),
            Self::Engine(engine) => engine.list(root),
            Self::State(state) => state.list(root),
            Self::Processes(processes) => processes.list(root),
        }
    }

    /// What may be `wanted`, and perhaps more, with all that is needed to enter it.
    pub(crate) fn find(&self, root: &Root, wanted: &Wanted) -> Result<Vec<Sighting>, SourceError> {
        match self {
            Self::Cri(cri) => cri.find(root, wanted),
            Self::Engine(engine) => engine.find(root, wanted),
            Self::State(state) => state.find(root, wanted),
            Self::Processes(processes) => processes.find(root, wanted),
        }
    }

    /// What it says now of the one thing that it said `sighting` of; `None` if that is not there any
    /// more.
    pub(crate) fn again(
        &self,
        root: &Root,
        sighting: &Sighting,
    ) -> Result<Option<Sighting>, SourceError> {
        match self {
            Self::Cri(cri) => cri.again(root, sighting),
            Self::Engine(engine) => engine.again(root, sighting),
            Self::State(state) => state.again(root, sighting),
            Self::Processes(processes) => processes.again(root, sighting),
        }
    }
}
