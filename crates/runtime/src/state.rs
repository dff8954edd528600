//! The runtimes' state directories as sources: what they keep on disk of each container.
//!
//! | | below | config | PID |
//! |---|---|---|---|
//! | containerd | `STATE/io.containerd.runtime.v2.task/NAMESPACE/ID/` | `config.json` | `init.pid` |
//! | CRI-O, podman | `RUN/DRIVER-containers/ID/userdata/` (podman's config is below GRAPH instead) | `config.json` | `pidfile` |
//! | Docker | `DATA/containers/ID/` | `config.v2.json`, `hostconfig.json` | in the first one |
//!
//! A directory may be half written or half removed when it is looked at, or damaged: then only its name,
//! the ID, is known. What was read of a config is kept for as long as the file is the same one (inode,
//! time and size), so that a look-up among hundreds reads only what is new. PIDs are read each time.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use nix::sys::stat::FileStat;

use nsplice_sys::lock;

use crate::bundle;
use crate::decide::Related;
use crate::engine::Flavour;
use crate::root::Root;
use crate::sighting::{ClaimedPid, Runtime, Sighting};
use crate::source::SourceError;
use crate::wanted::Wanted;

mod docker;
mod entry;
mod storage;

use entry::{names_in, Entry, MOST_CONFIG};

/// A runtime's state directory.
#[derive(Debug)]
pub(crate) struct State {
    layout: Layout,
    /// What was read last, by where the configs are.
    kept: Mutex<HashMap<PathBuf, Kept>>,
}

/// How the directory is laid out, and where it is.
#[derive(Debug)]
enum Layout {
    Containerd { state: PathBuf },
    Storage { graph: PathBuf, run: PathBuf },
    Docker { data: PathBuf },
}

/// What was read of a config.
#[derive(Debug)]
struct Kept {
    /// `None` where there is nothing that could be read.
    stamp: Option<Stamp>,
    sighting: Sighting,
}

/// What tells one content of a file or directory from the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    inode: u64,
    modified: (i64, i64),
    size: i64,
}

impl State {
    /// containerd's, whose `state` directory is at this path.
    pub(crate) fn containerd(state: impl Into<PathBuf>) -> Self {
        Self::of(Layout::Containerd { state: state.into() })
    }

    /// CRI-O's and podman's, whose storage is at these paths.
    pub(crate) fn storage(graph: impl Into<PathBuf>, run: impl Into<PathBuf>) -> Self {
        Self::of(Layout::Storage { graph: graph.into(), run: run.into() })
    }

    /// Docker's, whose data directory is at this path.
    pub(crate) fn docker(data: impl Into<PathBuf>) -> Self {
        Self::of(Layout::Docker { data: data.into() })
    }

    fn of(layout: Layout) -> Self {
        Self { layout, kept: Mutex::new(HashMap::new()) }
    }

    /// What it is, in the words of a message.
    pub(crate) fn name(&self) -> &'static str {
        match self.layout {
            Layout::Containerd { .. } => "containerd's state",
            Layout::Storage { .. } => "CRI-O's and podman's state",
            Layout::Docker { .. } => "Docker's state",
        }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        match &self.layout {
            Layout::Containerd { state } => state,
            Layout::Storage { run, .. } => run,
            Layout::Docker { data } => data,
        }
    }

    /// Whether only Docker's containers are there.
    pub(crate) fn is_docker(&self) -> bool {
        matches!(self.layout, Layout::Docker { .. })
    }

    /// Whether it is the engine of this flavour that writes it.
    pub(crate) fn is_written_by(&self, flavour: Flavour) -> bool {
        match &self.layout {
            Layout::Docker { .. } => flavour == Flavour::Docker,
            // The containerd that Docker starts.
            Layout::Containerd { state } => {
                flavour == Flavour::Docker && state.starts_with("/run/docker")
            }
            Layout::Storage { .. } => flavour == Flavour::Podman,
        }
    }

    /// The directories that have one for each container, as far as they are there.
    pub(crate) fn shelves(&self, root: &Root) -> Vec<PathBuf> {
        let below = |path: &Path, is_one: fn(&str) -> bool| {
            let names = names_in(root, path).ok().flatten().unwrap_or_default();
            let names = names.into_iter().filter(|name| is_one(name));
            names.map(|name| path.join(name)).chain([path.to_owned()]).collect::<Vec<_>>()
        };
        match &self.layout {
            Layout::Containerd { state } => TASK_DIRECTORIES
                .iter()
                .flat_map(|tasks| below(&state.join(tasks), |_| true))
                .collect(),
            Layout::Storage { run, .. } => below(run, storage::is_of_driver),
            Layout::Docker { data } => vec![docker::containers_of(data)],
        }
    }

    /// All containers, with their PIDs.
    pub(crate) fn list(&self, root: &Root) -> Result<Vec<Sighting>, SourceError> {
        self.seen(root, |all| all)
    }

    /// The containers that may be `wanted`, with their PIDs.
    pub(crate) fn find(&self, root: &Root, wanted: &Wanted) -> Result<Vec<Sighting>, SourceError> {
        self.seen(root, |mut all| {
            let related = Related::of(wanted, all.iter().map(|(_, one)| *one));
            all.retain(|(_, one)| related.has(one));
            all
        })
    }

    /// What is there now of the container that it said `sighting` of.
    pub(crate) fn again(
        &self,
        root: &Root,
        sighting: &Sighting,
    ) -> Result<Option<Sighting>, SourceError> {
        let seen = self.seen(root, |mut all| {
            all.retain(|(_, one)| one.id == sighting.id);
            all
        })?;
        Ok(seen.into_iter().next())
    }

    /// The containers that `choose` leaves, with their PIDs.
    fn seen(
        &self,
        root: &Root,
        choose: impl for<'a> FnOnce(Vec<(&'a Entry, &'a Sighting)>) -> Vec<(&'a Entry, &'a Sighting)>,
    ) -> Result<Vec<Sighting>, SourceError> {
        let entries = match &self.layout {
            Layout::Containerd { state } => containerd_entries(root, state)?,
            Layout::Storage { graph, run } => storage::entries(root, graph, run)?,
            Layout::Docker { data } => docker::entries(root, data)?,
        };
        let mut kept = lock(&self.kept);
        // Those of containers that are gone are let go.
        let mut known = std::mem::take(&mut *kept);
        for entry in &entries {
            let now = self.look(root, entry, known.remove(entry.place()));
            kept.insert(entry.place().to_owned(), now);
        }
        let all =
            entries.iter().filter_map(|entry| Some((entry, &kept.get(entry.place())?.sighting)));
        let with_pid = |(entry, one): (&Entry, &Sighting)| {
            let pid = entry.pid.as_ref().and_then(|path| claimed(root, path));
            Sighting { pid: pid.or_else(|| one.pid.clone()), ..one.clone() }
        };
        Ok(choose(all.collect()).into_iter().map(with_pid).collect())
    }

    /// What the files of `entry` say, but for the PID; as it is `known`, if they are the same.
    fn look(&self, root: &Root, entry: &Entry, known: Option<Kept>) -> Kept {
        let bare = || Kept { stamp: None, sighting: entry.bare() };
        let config = entry.configs.iter().find_map(|path| Some((path, root.status(path).ok()?)));
        let Some((path, status)) = config else { return bare() };
        match known {
            Some(known) if known.stamp == Some(Stamp::of(&status)) => return known,
            _ => {}
        }
        let Ok((json, status)) = root.read_with_status(path, MOST_CONFIG) else { return bare() };
        let read = match &self.layout {
            Layout::Docker { .. } => docker::read(root, entry, &json, modified(&status)),
            _ => bundle::read(&entry.id, &json, entry.runtime),
        };
        let Ok(mut sighting) = read else { return bare() };
        sighting.created = sighting.created.or_else(|| modified(&status));
        for name in &entry.names {
            if !sighting.names.contains(name) {
                sighting.names.push(name.clone());
            }
        }
        if sighting.handler.is_none() {
            let shim = entry.shim.as_ref().and_then(|path| root.read(path, MOST_PATH).ok());
            sighting.handler = shim.and_then(|path| handler_of(&String::from_utf8_lossy(&path)));
        }
        Kept { stamp: Some(Stamp::of(&status)), sighting }
    }
}

impl Stamp {
    pub(crate) fn of(status: &FileStat) -> Self {
        let modified = (status.st_mtime, status.st_mtime_nsec);
        Self { inode: status.st_ino, modified, size: status.st_size }
    }
}

/// The bundles of containerd, by its namespaces.
fn containerd_entries(root: &Root, state: &Path) -> Result<Vec<Entry>, SourceError> {
    let mut entries = Vec::new();
    let mut absent = true;
    for tasks in TASK_DIRECTORIES {
        let tasks = state.join(tasks);
        let Some(namespaces) = names_in(root, &tasks)? else { continue };
        absent = false;
        for namespace in namespaces {
            // Docker has a namespace of its own in its containerd.
            let runtime = if namespace == "moby" { Runtime::Docker } else { Runtime::Containerd };
            let bundles = tasks.join(namespace);
            for id in names_in(root, &bundles)?.unwrap_or_default() {
                let bundle = bundles.join(&id);
                entries.push(Entry {
                    configs: vec![bundle.join("config.json")],
                    pid: Some(bundle.join("init.pid")),
                    shim: Some(bundle.join("shim-binary-path")),
                    names: Vec::new(),
                    id,
                    runtime,
                });
            }
        }
    }
    if absent {
        Err(SourceError::Absent)
    } else {
        Ok(entries)
    }
}

/// The PID in the file at `path`.
fn claimed(root: &Root, path: &Path) -> Option<ClaimedPid> {
    let (text, status) = root.read_with_status(path, MOST_PID).ok()?;
    let pid = std::str::from_utf8(&text).ok()?.trim().parse().ok().filter(|pid| *pid > 0)?;
    Some(ClaimedPid { pid, written: modified(&status) })
}

/// When a file was written.
fn modified(status: &FileStat) -> Option<SystemTime> {
    let seconds = Duration::from_secs(status.st_mtime.try_into().ok()?);
    let rest = Duration::from_nanos(status.st_mtime_nsec.try_into().ok()?);
    SystemTime::UNIX_EPOCH.checked_add(seconds + rest)
}

/// The handler that a shim is of: `kata` of `/usr/bin/containerd-shim-kata-v2`.
fn handler_of(shim: &str) -> Option<String> {
    let name = shim.trim().rsplit('/').next()?.strip_prefix("containerd-shim-")?;
    let (handler, version) = name.rsplit_once("-v")?;
    version.bytes().all(|byte| byte.is_ascii_digit()).then(|| handler.to_owned())
}

/// Those of shims of the second and the first version.
const TASK_DIRECTORIES: [&str; 2] =
    ["io.containerd.runtime.v2.task", "io.containerd.runtime.v1.linux"];

/// The greatest PID has seven digits.
const MOST_PID: usize = 32;

/// PATH_MAX.
const MOST_PATH: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handler_is_known_by_its_shim() {
        let table = [
            ("/usr/bin/containerd-shim-runc-v2", Some("runc")),
            ("/opt/kata/bin/containerd-shim-kata-qemu-v2\n", Some("kata-qemu")),
            ("containerd-shim-runsc-v1", Some("runsc")),
            ("/usr/bin/containerd-shim", None),
            ("/usr/bin/containerd-shim-x-vy", None),
            ("", None),
        ];
        for (shim, handler) in table {
            assert_eq!(handler_of(shim).as_deref(), handler, "{shim}");
        }
    }
}
