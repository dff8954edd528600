//! What a look-up brings: where the sockets of a pod or container are born, and whether that still holds.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::following::Heard;
use crate::identity::Identity;
use crate::process::Process;
use crate::root::Root;
use crate::sighting::{Runtime, Sighting};

/// A pod or container that was found, held and checked.
#[derive(Debug)]
pub struct Found {
    /// Where its sockets are born.
    pub place: Place,
    /// Its own addresses, the first one first.
    pub addresses: Vec<IpAddr>,
    /// The files that its names are resolved by.
    pub files: Files,
    /// What it is called.
    pub labels: Labels,
    /// The runtime's ID of it.
    pub id: String,
    pub(crate) vigil: Vigil,
    /// Who knows whether it still goes by its name.
    pub(crate) known_by: KnownBy,
}

/// Who knows whether something still goes by its name.
#[derive(Debug)]
pub(crate) enum KnownBy {
    /// Nobody else than who tells that it is there: a pod, say, has one name for life.
    Nobody,
    /// The engine that is the source of this number, which is not listened to.
    Silent(usize),
    /// One that is listened to, which had said so much before this was looked for.
    Heard(Heard),
}

/// Where the sockets of a pod or container are born.
#[derive(Debug, Clone)]
pub enum Place {
    /// Here: it has the node's network, which is ours, too.
    Home,
    /// In the network namespace of this process.
    Process(Arc<Process>),
    /// In the network namespace that this path leads to, which has no links in it.
    Path(PathBuf),
    /// Nowhere that could be entered: a sandboxed runtime (Kata, gVisor) has a network of its own behind
    /// its addresses, which are dialled from home.
    Addresses,
}

/// Whose the files of a pod or container are.
#[derive(Debug, Clone)]
pub enum Files {
    /// A container's. What the kubelet writes for a pod (its own name, its `hostAliases`) is there for its
    /// containers.
    Container(Owner),
    /// The sandbox's, of which resolv.conf is the pod's: no container of it was seen to run.
    Sandbox(Owner),
    /// Nobody's who could be seen; or they are in a sandbox, of which only the shell is seen.
    Unseen,
}

/// A process that has files: its root.
#[derive(Debug, Clone)]
pub enum Owner {
    /// One that is held.
    Process(Arc<Process>),
    /// One of a /proc with other numbers than ours, by its directory, which is at this path.
    Directory(Arc<OwnedFd>, PathBuf),
}

/// What a pod or container is called, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels {
    /// The pod.
    pub pod: Option<String>,
    /// Its Kubernetes namespace.
    pub namespace: Option<String>,
    /// Its UID.
    pub uid: Option<String>,
    /// The container.
    pub container: Option<String>,
    /// The runtime.
    pub runtime: Option<Runtime>,
    /// The handler that runs it.
    pub handler: Option<String>,
}

/// What tells whether that which was found is still there.
#[derive(Debug)]
pub(crate) enum Vigil {
    /// This process lives.
    Process(Arc<Process>),
    /// This directory of a process has one.
    Directory(OwnedFd),
    /// This path leads to the same namespace.
    Path(PathBuf, Identity),
    /// Nothing does: whoever wants to know has to look again.
    None,
}

impl Found {
    /// Returns whether it is still there, as far as that can be told without asking anybody. What cannot
    /// be told is not, nor is what may go by another name by now.
    pub fn is_alive(&self) -> bool {
        !self.may_be_renamed() && self.is_there()
    }

    /// Returns whether its engine, if that is listened to, has said since that names have changed.
    pub fn may_be_renamed(&self) -> bool {
        matches!(&self.known_by, KnownBy::Heard(heard) if heard.is_old())
    }

    /// The same, whatever it is called by now.
    pub fn is_there(&self) -> bool {
        match &self.vigil {
            Vigil::Process(process) => process.is_alive(),
            Vigil::Directory(directory) => is_inhabited(directory),
            Vigil::Path(path, identity) => {
                Identity::of_path(path).is_ok_and(|now| now == *identity)
            }
            Vigil::None => false,
        }
    }

    /// Takes in what was `heard` before it was looked for, by the numbers of the sources.
    pub(crate) fn take_in(&mut self, heard: Vec<(usize, Heard)>) {
        let KnownBy::Silent(number) = self.known_by else { return };
        if let Some((_, heard)) = heard.into_iter().find(|(each, _)| *each == number) {
            self.known_by = KnownBy::Heard(heard);
        }
    }

    /// How much its engine has said by itself so far, if that is listened to: for [`Self::believe`].
    pub fn said(&self) -> u64 {
        match &self.known_by {
            KnownBy::Heard(heard) => heard.now(),
            KnownBy::Nobody | KnownBy::Silent(_) => 0,
        }
    }

    /// Takes it for what goes by the name still, although its engine has `said` so much: nobody could be
    /// asked what that meant.
    pub fn believe(&self, said: u64) {
        if let KnownBy::Heard(heard) = &self.known_by {
            heard.pass_over(said);
        }
    }

    /// The process whose end is its end, if there is one. Its pidfd becomes readable then.
    pub fn process(&self) -> Option<&Arc<Process>> {
        self.vigil.process()
    }
}

impl Vigil {
    /// The process that is watched, if it is one.
    pub(crate) fn process(&self) -> Option<&Arc<Process>> {
        match self {
            Self::Process(process) => Some(process),
            _ => None,
        }
    }
}

impl Files {
    /// Whose they are.
    pub fn owner(&self) -> Option<&Owner> {
        match self {
            Self::Container(owner) | Self::Sandbox(owner) => Some(owner),
            Self::Unseen => None,
        }
    }

    /// Returns whether nobody can have come whose files would be more to the point.
    pub fn are_settled(&self) -> bool {
        matches!(self, Self::Container(owner) if owner.is_alive())
    }
}

impl Owner {
    /// Returns whether it has not ended yet.
    pub fn is_alive(&self) -> bool {
        match self {
            Self::Process(process) => process.is_alive(),
            Self::Directory(directory, _) => is_inhabited(directory),
        }
    }

    /// Opens its root, which is not kept by who keeps the process.
    ///
    /// # Errors
    /// Those of [`Root::of_process`].
    pub fn root(&self) -> io::Result<Root> {
        match self {
            Self::Process(process) => Root::of_process(process),
            Self::Directory(directory, path) => Root::of_process_at(directory.as_fd(), path),
        }
    }
}

/// Whether the directory of a process still has one.
fn is_inhabited(directory: &OwnedFd) -> bool {
    Identity::below(directory, Path::new("ns/net")).is_ok()
}

impl Labels {
    /// The labels of what was seen as `sighting`.
    pub(crate) fn of(sighting: &Sighting) -> Self {
        let pod = sighting.pod.as_ref();
        let container = (!sighting.is_sandbox()).then(|| sighting.names.first().cloned()).flatten();
        Self {
            pod: pod.and_then(|pod| pod.name.clone()),
            namespace: pod.and_then(|pod| pod.namespace.clone()),
            uid: pod.and_then(|pod| pod.uid.clone()),
            container,
            runtime: (sighting.runtime != Runtime::Unknown).then_some(sighting.runtime),
            handler: sighting.handler.clone(),
        }
    }
}

/// Returns whether what `handler` runs has no network namespace that would lead to its sockets.
pub(crate) fn is_sandboxed(handler: &str) -> bool {
    let handler = handler.to_ascii_lowercase();
    SANDBOXED.iter().any(|word| handler.contains(word))
}

/// Words in the names of such handlers, runtimes and shims.
const SANDBOXED: [&str; 4] = ["kata", "runsc", "gvisor", "firecracker"];
