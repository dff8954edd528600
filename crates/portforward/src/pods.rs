//! The pods that can be forwarded to, as whoever knows them tells.

use std::fmt::{self, Debug};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use nsplice_relay::{Labels, Opener};

/// The pods of a node. It is asked on the thread of a loop, and must not block: an answer that takes
/// time is asked for elsewhere, and looked for again.
pub trait Pods: Debug + Send + Sync {
    /// Asks for the pod of this name.
    fn find(&self, name: &PodName) -> Box<dyn Asked<Arc<dyn Pod>>>;

    /// Asks for all pods, those of one namespace or of all.
    fn list(&self, namespace: Option<&str>) -> Box<dyn Asked<Vec<PodView>>>;
}

/// A question about pods, and its answer as soon as there is one.
pub trait Asked<T>: Debug + Send {
    /// Takes the answer; `None` if it is not there yet. It is given once.
    fn take(&mut self) -> Option<Result<T, NoPod>>;
}

/// A pod that was found.
pub trait Pod: Debug + Send + Sync {
    /// What is told of it.
    fn view(&self) -> &PodView;

    /// The way to one of its ports.
    fn port(&self, port: u16) -> Way;
}

/// The way to a port of a pod.
#[derive(Debug)]
pub struct Way {
    /// Opens the upstream of one connection.
    pub opener: Box<dyn Opener>,
    /// What its link is about.
    pub labels: Arc<Labels>,
}

/// The name of a pod, as a path has it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PodName {
    /// Its namespace.
    pub namespace: String,
    /// Its name within that.
    pub name: String,
    /// The UID that it must have; `None` takes any.
    pub uid: Option<String>,
}

impl fmt::Display for PodName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// What is told of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodView {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID, or what is as good as one.
    pub uid: String,
    /// The names of its containers, each with whether it runs.
    pub containers: Vec<(String, Phase)>,
    /// Whether it runs.
    pub phase: Phase,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// When it was made, if that is known.
    pub created: Option<SystemTime>,
}

/// Whether a pod or a container runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It does.
    Running,
    /// It does not: it is made and not started, or has ended.
    Stopped,
}

/// Why there is no answer about a pod.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoPod {
    /// There is no such pod; with what the operator is told of it.
    #[error("{0}")]
    Unknown(String),
    /// It cannot be told whether there is one, or it is not to be reached, for this reason.
    #[error("{0}")]
    Failed(String),
}
