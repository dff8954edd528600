//! The layout of containers/storage, which CRI-O and podman share.

use std::collections::HashMap;
use std::path::Path;

use serde::Deserialize;

use super::entry::{names_in, Entry};
use crate::root::Root;
use crate::sighting::Runtime;
use crate::source::SourceError;

/// One of what `containers.json` lists.
#[derive(Debug, Deserialize)]
struct Listed {
    id: String,
    #[serde(default)]
    names: Option<Vec<String>>,
}

/// The containers whose run-time state is below `run`.
pub(super) fn entries(root: &Root, graph: &Path, run: &Path) -> Result<Vec<Entry>, SourceError> {
    let Some(drivers) = names_in(root, run)? else { return Err(SourceError::Absent) };
    let mut entries = Vec::new();
    for driver in drivers.iter().filter(|name| is_of_driver(name)) {
        let (run, graph) = (run.join(driver), graph.join(driver));
        let mut names = names_of(root, &graph.join("containers.json"));
        for id in names_in(root, &run)?.unwrap_or_default() {
            let (run, graph) = (run.join(&id).join("userdata"), graph.join(&id).join("userdata"));
            entries.push(Entry {
                // podman's is only in the second.
                configs: vec![run.join("config.json"), graph.join("config.json")],
                pid: Some(run.join("pidfile")),
                shim: None,
                names: names.remove(&id).unwrap_or_default(),
                runtime: Runtime::Unknown,
                id,
            });
        }
    }
    Ok(entries)
}

/// Whether what has this name has a directory for each container of a storage driver.
pub(super) fn is_of_driver(name: &str) -> bool {
    name.ends_with("-containers")
}

/// The names by ID; none where the list cannot be read: then the IDs have to do.
fn names_of(root: &Root, path: &Path) -> HashMap<String, Vec<String>> {
    let listed = root.read(path, MOST_LISTED).ok();
    let listed = listed.and_then(|json| serde_json::from_slice::<Vec<Listed>>(&json).ok());
    let named = listed.unwrap_or_default().into_iter();
    named.map(|one| (one.id, one.names.unwrap_or_default())).collect()
}

/// A container takes a kilobyte of it.
const MOST_LISTED: usize = 16 << 20;
