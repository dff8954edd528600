//! The answers of Docker and podman about containers, read. Pure.
//!
//! What is missing is not known; what is of the wrong type makes the whole answer none.

use std::collections::HashMap;
use std::net::IpAddr;

use serde::Deserialize;

use crate::engine::container::{add_name, labelled, network, Config, HostConfig, Labels, Process};
use crate::engine::flavour::Flavour;
use crate::sighting::{ClaimedPid, Kind, Network, PodName, Sighting, State};

/// What `GET /containers/NAME/json` says.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    id: String,
    state: Process,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    config: Option<Config>,
    #[serde(default)]
    host_config: Option<HostConfig>,
    #[serde(default)]
    network_settings: Option<NetworkSettings>,
    /// podman's.
    #[serde(default, rename = "OCIRuntime")]
    oci_runtime: Option<String>,
    #[serde(default)]
    is_infra: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NetworkSettings {
    #[serde(default, rename = "IPAddress")]
    address: Option<String>,
    #[serde(default)]
    networks: Option<HashMap<String, Option<Endpoint>>>,
}

#[derive(Debug, Deserialize)]
struct Endpoint {
    #[serde(default, rename = "IPAddress")]
    v4: Option<String>,
    #[serde(default, rename = "GlobalIPv6Address")]
    v6: Option<String>,
}

/// One of what `GET /containers/json` lists.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    id: String,
    #[serde(default)]
    names: Option<Vec<String>>,
    #[serde(default)]
    labels: Option<Labels>,
    #[serde(default)]
    state: Option<String>,
    #[serde(default)]
    host_config: Option<HostConfig>,
    #[serde(default)]
    network_settings: Option<NetworkSettings>,
    // The rest is podman's.
    #[serde(default)]
    pid: Option<u32>,
    #[serde(default)]
    pod: Option<String>,
    #[serde(default)]
    pod_name: Option<String>,
    #[serde(default)]
    is_infra: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct Complaint {
    message: String,
}

/// The container that an answer to a question about one is of.
pub(super) fn inspected(body: &[u8], flavour: Flavour) -> serde_json::Result<Sighting> {
    let told: Inspected = serde_json::from_slice(body)?;
    let labels = told.config.and_then(|config| config.labels).unwrap_or_default();
    let host_config = told.host_config.unwrap_or_default();
    let mut one = labelled(told.id, &labels, flavour);
    if told.is_infra == Some(true) {
        one.kind = Kind::Sandbox;
    }
    add_name(&mut one, told.name.as_deref());
    one.pid = told.state.pid().map(|pid| ClaimedPid { pid, written: None });
    one.state = if one.pid.is_some() { State::Running } else { State::Stopped };
    one.handler = told.oci_runtime.or(host_config.runtime);
    one.network = host_config.network_mode.as_deref().map_or(Network::Unknown, network);
    one.addresses = told.network_settings.map(addresses).unwrap_or_default();
    Ok(one)
}

/// The containers that an answer of Docker's lists.
pub(super) fn docker_list(body: &[u8]) -> serde_json::Result<Vec<Sighting>> {
    let told: Vec<Listed> = serde_json::from_slice(body)?;
    Ok(told.into_iter().map(|told| listed(told, Flavour::Docker)).collect())
}

/// The containers that an answer of podman's lists.
pub(super) fn podman_list(body: &[u8]) -> serde_json::Result<Vec<Sighting>> {
    let told: Vec<Listed> = serde_json::from_slice(body)?;
    let infra = |told: &Listed| {
        let pod = told.pod.clone().filter(|pod| !pod.is_empty())?;
        (told.is_infra == Some(true)).then(|| (pod, told.id.clone()))
    };
    let sandboxes: HashMap<String, String> = told.iter().filter_map(infra).collect();
    let of_pod = |told: Listed| {
        let (pod, name) = (told.pod.clone().unwrap_or_default(), told.pod_name.clone());
        let is_infra = told.is_infra == Some(true);
        let mut one = listed(told, Flavour::Podman);
        if let Some(name) = name.filter(|name| !name.is_empty()) {
            one.pod = Some(PodName { namespace: None, name: Some(name), uid: Some(pod.clone()) });
        }
        one.kind = match is_infra {
            true => Kind::Sandbox,
            false => Kind::Container { sandbox: sandboxes.get(&pod).cloned() },
        };
        one
    };
    Ok(told.into_iter().map(of_pod).collect())
}

/// What is said where there is no answer.
pub(super) fn complaint(body: &[u8]) -> Option<String> {
    serde_json::from_slice::<Complaint>(body).ok().map(|complaint| complaint.message)
}

fn listed(told: Listed, flavour: Flavour) -> Sighting {
    let mut one = labelled(told.id, &told.labels.unwrap_or_default(), flavour);
    for name in told.names.unwrap_or_default() {
        add_name(&mut one, Some(&name));
    }
    one.state = match told.state.as_deref() {
        Some("running" | "paused") => State::Running,
        Some(_) => State::Stopped,
        None => State::Unknown,
    };
    if let (State::Running, Some(pid @ 1..)) = (one.state, told.pid) {
        one.pid = Some(ClaimedPid { pid, written: None });
    }
    let mode = told.host_config.and_then(|config| config.network_mode);
    one.network = mode.as_deref().map_or(Network::Unknown, network);
    one.addresses = told.network_settings.map(addresses).unwrap_or_default();
    one
}

fn addresses(settings: NetworkSettings) -> Vec<IpAddr> {
    let networks = settings.networks.unwrap_or_default().into_values().flatten();
    let told = networks.flat_map(|endpoint| [endpoint.v4, endpoint.v6]).chain([settings.address]);
    let mut all: Vec<IpAddr> = told.flatten().filter_map(|text| text.parse().ok()).collect();
    all.sort_unstable();
    all.dedup();
    all
}
