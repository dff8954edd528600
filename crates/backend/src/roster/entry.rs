//! What a roster says of one target.

use std::net::IpAddr;

use serde::Serialize;

use nsplice_runtime::Identity;

/// A pod, a container, or a network namespace that has a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The words for it, as every command takes them, e.g. `pod/default/web`; `None` where nothing could
    /// be written that means it and nothing else.
    pub target: Option<String>,
    /// Which of them it is.
    pub kind: EntryKind,
    /// Its name, or where it has none the beginning of its ID.
    pub name: String,
    /// The Kubernetes namespace of it, or of its pod.
    pub namespace: Option<String>,
    /// The pod that a container is part of: its name.
    pub pod: Option<String>,
    /// The runtime's whole ID of it.
    pub id: Option<String>,
    /// The runtime: `containerd`, `cri-o`, `docker`, `podman`.
    pub runtime: Option<&'static str>,
    /// Its first process.
    pub pid: Option<u32>,
    /// Whose network it has.
    pub network: NetworkKind,
    /// Its network namespace; `None` if it has none or we may not know.
    pub network_namespace: Option<Identity>,
    /// The target that it shares its network with, and with which the ports are listed.
    pub shares: Option<String>,
    /// Its addresses, but for those of loopback interfaces.
    pub addresses: Vec<IpAddr>,
    /// The TCP ports that it listens on; of a network that is the node's, those of its own processes.
    /// `None` if we may not know, or if they are listed with what it shares its network with.
    pub ports: Option<Vec<OpenPort>>,
}

/// The kinds of what is in a roster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EntryKind {
    /// A pod.
    Pod,
    /// A container.
    Container,
    /// A network namespace that has a name.
    Netns,
}

/// Whose network a target has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkKind {
    /// One of its own.
    Own,
    /// That of another target: `shares` says of which.
    Shared,
    /// The node's.
    Host,
    /// One behind its addresses, without a namespace that would lead there (Kata, gVisor).
    Sandboxed,
    /// It is not known.
    Unknown,
}

/// A TCP port that a target listens on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OpenPort {
    /// The port.
    pub port: u16,
    /// The address that it is bound to; an unspecified one (`0.0.0.0`, `::`) stands for all.
    pub address: IpAddr,
    /// True if nobody reaches it from outside: these are the ports that a forwarder is needed for.
    pub localhost_only: bool,
    /// The process that has it open; `None` if we may not know.
    pub process: Option<PortProcess>,
}

/// The process behind a port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PortProcess {
    /// Its number, as the node counts.
    pub pid: u32,
    /// What it calls itself.
    pub name: String,
}

impl EntryKind {
    /// Its word, as at the beginning of a target.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pod => "pod",
            Self::Container => "container",
            Self::Netns => "netns",
        }
    }
}

impl Entry {
    /// Returns what tells it from all others, as long as it lives.
    pub fn key(&self) -> (EntryKind, &str) {
        (self.kind, self.id.as_deref().unwrap_or(&self.name))
    }
}
