//! A sighting: what one source says of one container or sandbox.
//!
//! Sources know different things: one has no names, another no PIDs. What they leave open is `None`;
//! `merge.rs` makes one of all that is said of the same thing.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::SystemTime;

/// What one source says of one container or sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// The runtime's ID of it: 64 hexadecimal digits, but for containers of containerd that somebody
    /// gave another.
    pub id: String,
    /// What it is.
    pub kind: Kind,
    /// The names it goes by besides its ID: Docker's and podman's, and the container's within its pod.
    pub names: Vec<String>,
    /// The pod it is part of.
    pub pod: Option<PodName>,
    /// The runtime it is one of.
    pub runtime: Runtime,
    /// Which of the runtime's handlers runs it, as in a RuntimeClass: `runc`, `kata`, `runsc`.
    pub handler: Option<String>,
    /// Whether it runs.
    pub state: State,
    /// Whose network it has.
    pub network: Network,
    /// The file that leads to its network namespace (as the runtime names it: below the root).
    pub namespace: Option<PathBuf>,
    /// Its first process.
    pub pid: Option<ClaimedPid>,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// When it was made.
    pub created: Option<SystemTime>,
}

/// What a sighting is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A pod's sandbox: what its network namespace belongs to.
    Sandbox,
    /// A container.
    Container {
        /// The ID of the sandbox of its pod, if it has one and that is known.
        sandbox: Option<String>,
    },
}

/// The names of a pod.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PodName {
    /// Its Kubernetes namespace; podman's pods have none.
    pub namespace: Option<String>,
    /// Its name; `None` where only the UID is known.
    pub name: Option<String>,
    /// Its UID.
    pub uid: Option<String>,
}

/// A container runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Runtime {
    /// Docker, with or without cri-dockerd.
    Docker,
    /// podman.
    Podman,
    /// containerd, also that of k3s and rke2.
    Containerd,
    /// CRI-O.
    Crio,
    /// One that cannot be told from what is known.
    Unknown,
}

impl Runtime {
    /// Its name, for labels and lists.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
            Self::Containerd => "containerd",
            Self::Crio => "cri-o",
            Self::Unknown => "unknown",
        }
    }
}

/// Whether a container runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It runs, or is ready.
    Running,
    /// It does not: it was made only, or has ended.
    Stopped,
    /// The source does not know: its process tells.
    Unknown,
}

/// Whose network a container has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Network {
    /// The node's.
    Host,
    /// One of its own.
    Own,
    /// That of the container with this ID.
    Of(String),
    /// The source does not know: its process tells.
    Unknown,
}

/// A PID as a source gives it: a claim, until the process is held and looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedPid {
    /// The number.
    pub pid: u32,
    /// When it was written down: a process that was started later is another one. `None` if it was
    /// asked for just now.
    pub written: Option<SystemTime>,
}

impl Sighting {
    /// A sighting of the container or sandbox `id`, of which nothing else is known yet.
    pub fn of(id: impl Into<String>, kind: Kind, runtime: Runtime) -> Self {
        Self {
            id: id.into(),
            kind,
            names: Vec::new(),
            pod: None,
            runtime,
            handler: None,
            state: State::Unknown,
            network: Network::Unknown,
            namespace: None,
            pid: None,
            addresses: Vec::new(),
            created: None,
        }
    }

    /// Whether it is a pod's sandbox.
    pub fn is_sandbox(&self) -> bool {
        self.kind == Kind::Sandbox
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::option::of;
    use proptest::prelude::*;

    /// A pod of few possible names.
    fn pods() -> impl Strategy<Value = PodName> {
        (of("[ab]"), of("(web|db)"), of("uid-[1-3]")).prop_map(|(namespace, name, uid)| PodName {
            namespace,
            name,
            uid,
        })
    }

    /// IDs that are often the same, or begin the same.
    fn ids() -> impl Strategy<Value = String> {
        "(aaaa|aaab|beef)[0-2]{2}"
    }

    fn kinds() -> impl Strategy<Value = Kind> {
        prop_oneof![Just(Kind::Sandbox), of(ids()).prop_map(|sandbox| Kind::Container { sandbox })]
    }

    fn states() -> impl Strategy<Value = State> {
        prop_oneof![Just(State::Running), Just(State::Stopped), Just(State::Unknown)]
    }

    /// Whatever a source may say.
    pub(crate) fn sightings() -> impl Strategy<Value = Sighting> {
        let names = proptest::collection::vec("(web|app|db|beef)", 0..2);
        (ids(), kinds(), names, of(pods()), states(), of(1u32..9)).prop_map(
            |(id, kind, names, pod, state, pid)| Sighting {
                names,
                pod,
                state,
                pid: pid.map(|pid| ClaimedPid { pid, written: None }),
                ..Sighting::of(id, kind, Runtime::Unknown)
            },
        )
    }
}
