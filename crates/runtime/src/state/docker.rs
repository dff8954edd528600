//! The layout of Docker's data directory.

use std::collections::HashMap;
use std::path::Path;
use std::time::SystemTime;

use serde::Deserialize;

use super::entry::{names_in, Entry, MOST_CONFIG};
use crate::engine::{labelled, network, Flavour};
use crate::root::Root;
use crate::sighting::{ClaimedPid, Runtime, Sighting, State};
use crate::source::SourceError;

/// What is in `config.v2.json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    state: Process,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    config: Option<Labelled>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Process {
    running: bool,
    pid: u32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Labelled {
    #[serde(default)]
    labels: Option<HashMap<String, String>>,
}

/// What is in `hostconfig.json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HostConfig {
    #[serde(default)]
    network_mode: Option<String>,
    #[serde(default)]
    runtime: Option<String>,
}

/// All containers, also those that do not run.
pub(super) fn entries(root: &Root, data: &Path) -> Result<Vec<Entry>, SourceError> {
    let containers = data.join("containers");
    let Some(ids) = names_in(root, &containers)? else { return Err(SourceError::Absent) };
    let entry = |id: String| Entry {
        configs: vec![containers.join(&id).join("config.v2.json")],
        pid: None,
        shim: None,
        names: Vec::new(),
        runtime: Runtime::Docker,
        id,
    };
    Ok(ids.into_iter().map(entry).collect())
}

/// What the files of `entry` say, of which the first was written at `written`.
pub(super) fn read(
    root: &Root,
    entry: &Entry,
    json: &[u8],
    written: Option<SystemTime>,
) -> serde_json::Result<Sighting> {
    let config: Config = serde_json::from_slice(json)?;
    let labels = config.config.unwrap_or_default().labels.unwrap_or_default();
    let mut one = labelled(entry.id.clone(), &labels, Flavour::Docker);
    let name = config.name.map(|name| name.trim_start_matches('/').to_owned());
    one.names.extend(name.filter(|name| !name.is_empty()));
    // Docker may be dead, and what it wrote last be old: that a process lives is found out by holding it.
    if config.state.running && config.state.pid > 0 {
        one.pid = Some(ClaimedPid { pid: config.state.pid, written });
    } else {
        one.state = State::Stopped;
    }
    let beside = entry.configs.first().map(|path| path.with_file_name("hostconfig.json"));
    let host_config = beside.and_then(|path| root.read(&path, MOST_CONFIG).ok());
    let host_config = host_config.and_then(|json| serde_json::from_slice::<HostConfig>(&json).ok());
    if let Some(HostConfig { network_mode, runtime }) = host_config {
        one.network = network_mode.as_deref().map_or(one.network, network);
        one.handler = runtime;
    }
    Ok(one)
}
