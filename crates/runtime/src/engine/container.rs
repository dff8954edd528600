//! A container in Docker's words, which its API, its files and podman share.

use std::collections::HashMap;

use serde::Deserialize;

use crate::engine::flavour::{Flavour, CONTAINER_NAME, POD_NAME, POD_NAMESPACE};
use crate::sighting::{Kind, Network, PodName, Runtime, Sighting};

/// Labels by their names.
pub(crate) type Labels = HashMap<String, String>;

/// Whether it runs.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Process {
    running: bool,
    pid: u32,
}

impl Process {
    /// Its first process. While it restarts a container counts as running, without one.
    pub(crate) fn pid(&self) -> Option<u32> {
        (self.running && self.pid > 0).then_some(self.pid)
    }
}

/// What it was made with.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Config {
    #[serde(default)]
    pub(crate) labels: Option<Labels>,
}

/// What the node does for it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct HostConfig {
    #[serde(default)]
    pub(crate) network_mode: Option<String>,
    #[serde(default)]
    pub(crate) runtime: Option<String>,
}

/// What the labels say, which cri-dockerd gives (and the kubelet through it).
pub(crate) fn labelled(id: String, labels: &Labels, flavour: Flavour) -> Sighting {
    let label = |name: &str| labels.get(name).filter(|value| !value.is_empty()).cloned();
    let kind = match label("io.kubernetes.docker.type").as_deref() {
        Some("podsandbox") => Kind::Sandbox,
        _ => Kind::Container { sandbox: label("io.kubernetes.sandbox.id") },
    };
    let runtime = match flavour {
        Flavour::Docker => Runtime::Docker,
        Flavour::Podman => Runtime::Podman,
    };
    let mut one = Sighting::of(id, kind, runtime);
    if let Some(name) = label(POD_NAME) {
        let (namespace, uid) = (label(POD_NAMESPACE), label("io.kubernetes.pod.uid"));
        one.pod = Some(PodName { namespace, name: Some(name), uid });
    }
    if !one.is_sandbox() {
        one.names.extend(label(CONTAINER_NAME));
    }
    one
}

/// Adds a name as Docker writes it.
pub(crate) fn add_name(one: &mut Sighting, name: Option<&str>) {
    // Docker's begin with a slash; one with another in it is a link's.
    let name = name.map(|name| name.strip_prefix('/').unwrap_or(name));
    if let Some(name) = name.filter(|name| !name.is_empty() && !name.contains('/')) {
        if !one.names.iter().any(|each| each == name) {
            one.names.push(name.to_owned());
        }
    }
}

/// The network that a mode names.
pub(crate) fn network(mode: &str) -> Network {
    match mode.split_once(':') {
        Some(("container", id)) => Network::Of(id.to_owned()),
        _ if mode == "host" => Network::Host,
        _ => Network::Own,
    }
}
