//! The layout of Docker's data directory.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Deserialize;

use super::entry::{names_in, Entry, MOST_CONFIG};
use crate::engine::{add_name, labelled, network, Config, Flavour, HostConfig, Process};
use crate::root::Root;
use crate::sighting::{ClaimedPid, Runtime, Sighting, State};
use crate::source::SourceError;

/// What is in `config.v2.json`; beside it is a [`HostConfig`].
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Written {
    state: Process,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    config: Option<Config>,
}

/// Where each container has a directory.
pub(super) fn containers_of(data: &Path) -> PathBuf {
    data.join("containers")
}

/// All containers, also those that do not run.
pub(super) fn entries(root: &Root, data: &Path) -> Result<Vec<Entry>, SourceError> {
    let containers = containers_of(data);
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
    let told: Written = serde_json::from_slice(json)?;
    let labels = told.config.unwrap_or_default().labels.unwrap_or_default();
    let mut one = labelled(entry.id.clone(), &labels, Flavour::Docker);
    add_name(&mut one, told.name.as_deref());
    // Docker may be dead, and what it wrote last be old: that a process lives is found out by holding it.
    match told.state.pid() {
        Some(pid) => one.pid = Some(ClaimedPid { pid, written }),
        None => one.state = State::Stopped,
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
