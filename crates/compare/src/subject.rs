//! A subject: one way of reaching the target, how it is started, and where its clients are.
//!
//! A backend of nsplice, or a command of the operator's that carries its links, is started as
//! `nsplice forward` in a process of its own, so that its costs and its descriptors are its own. A
//! peer is a relay that runs already. `dial` connects from where it runs, so it runs inside the
//! target, and its clients are there, too.

use nsplice_backend::Choice;

use crate::model::{SubjectFacts, SubjectKind};
use crate::stage::{Birth, Stage};

mod launch;
mod means;
mod running;

pub use launch::{Launch, Launcher, Route};
pub use means::{Means, Peer, Subject};
pub use running::{Running, SubjectError};

/// The yardstick without a relay.
pub(crate) const DIRECT: &str = "direct";

/// The yardstick of a relay.
pub(crate) const FLOOR: &str = "floor";

/// Names that subjects do not have.
pub(crate) const RESERVED: [&str; 2] = [DIRECT, FLOOR];

impl Subject {
    /// nsplice with `backend`, by its own name.
    pub fn backend(backend: Choice) -> Self {
        Self { name: backend.to_string(), means: Means::Backend { backend, splice: true } }
    }

    /// nsplice with the backend setns, which only copies.
    pub fn setns_copy() -> Self {
        let means = Means::Backend { backend: Choice::Setns, splice: false };
        Self { name: "setns-copy".to_owned(), means }
    }

    /// Returns where it runs and its clients' sockets are born.
    pub fn birth(&self) -> Birth {
        match self.means {
            Means::Backend { backend: Choice::Dial, .. } => Birth::Target,
            _ => Birth::Node,
        }
    }

    /// Returns whether each of its links has a process of its own.
    pub fn has_children(&self) -> bool {
        match &self.means {
            Means::Backend { backend, .. } => *backend == Choice::External,
            Means::Command(_) => true,
            Means::Peer(_) => false,
        }
    }

    /// Makes it run, or takes hold of it if it does already.
    ///
    /// What is started dies with the thread that started it, if not before.
    ///
    /// # Errors
    /// When it cannot be started; the words are its own where it has said some.
    pub fn start(
        &self,
        stage: &Stage,
        launcher: &Launcher,
        route: &Route,
    ) -> Result<Running, SubjectError> {
        if let Means::Peer(peer) = &self.means {
            return if route.host.is_none() {
                Ok(Running::of_peer(peer))
            } else {
                Err(SubjectError::Fixed)
            };
        }
        let command = launcher.command(self, stage, route);
        Running::start(command, stage, self.birth(), &launcher.groups)
    }

    /// Returns what a report says of it; `missing` is why it could not be started.
    pub fn facts(
        &self,
        stage: &Stage,
        launcher: &Launcher,
        missing: Option<&SubjectError>,
    ) -> SubjectFacts {
        let (kind, command) = match &self.means {
            Means::Peer(peer) => (SubjectKind::Peer, peer.address.to_string()),
            Means::Backend { .. } => (SubjectKind::Backend, launcher.line(self, stage)),
            Means::Command(_) => (SubjectKind::Command, launcher.line(self, stage)),
        };
        let missing = missing.map(ToString::to_string);
        SubjectFacts { name: self.name.clone(), kind, command, missing }
    }
}
