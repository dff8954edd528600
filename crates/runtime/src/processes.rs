//! The control groups of all processes as the last resort: they know IDs, and UIDs of pods, but no names.
//!
//! Of the processes of a container the one with the least number stands for it: most often its first.

use std::collections::BTreeMap;
use std::path::Path;

use crate::cgroup::{membership, Membership};
use crate::decide::keep_related;
use crate::root::{Proc, Root};
use crate::sighting::{ClaimedPid, Kind, PodName, Runtime, Sighting, State};
use crate::source::SourceError;
use crate::wanted::Wanted;

/// The processes of a /proc.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Processes;

impl Processes {
    /// All containers that have a process.
    pub(crate) fn list(self, root: &Root) -> Result<Vec<Sighting>, SourceError> {
        let path = root.proc().path();
        let failed = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::NotFound => SourceError::Absent,
            _ => SourceError::Failed(format!(
                "{}: {}",
                path.display(),
                nsplice_sys::describe(&error)
            )),
        };
        let mut containers: BTreeMap<String, (u32, Membership)> = BTreeMap::new();
        for entry in std::fs::read_dir(path).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
                continue;
            };
            // A process that has ended meanwhile is in no container.
            let Some(text) = cgroup_text(root.proc(), pid) else { continue };
            let membership = membership(&text);
            let Some(id) = membership.container.clone() else { continue };
            match containers.get_mut(&id) {
                Some(known) if known.0 < pid => {}
                Some(known) => *known = (pid, membership),
                None => {
                    containers.insert(id, (pid, membership));
                }
            }
        }
        Ok(containers.into_iter().map(|(id, (pid, told))| sighting(id, pid, told)).collect())
    }

    /// The containers that may be `wanted`.
    pub(crate) fn find(self, root: &Root, wanted: &Wanted) -> Result<Vec<Sighting>, SourceError> {
        let mut seen = self.list(root)?;
        keep_related(wanted, &mut seen);
        Ok(seen)
    }

    /// What is there now of the container that it said `sighting` of.
    pub(crate) fn again(
        self,
        root: &Root,
        sighting: &Sighting,
    ) -> Result<Option<Sighting>, SourceError> {
        Ok(self.list(root)?.into_iter().find(|one| one.id == sighting.id))
    }

    /// Where they are.
    pub(crate) fn path(self, root: &Root) -> &Path {
        root.proc().path()
    }
}

fn sighting(id: String, pid: u32, told: Membership) -> Sighting {
    let kind = Kind::Container { sandbox: None };
    let mut one = Sighting::of(id, kind, told.runtime.unwrap_or(Runtime::Unknown));
    one.state = State::Running;
    one.pid = Some(ClaimedPid { pid, written: None });
    one.pod = told.pod_uid.map(|uid| PodName { namespace: None, name: None, uid: Some(uid) });
    one
}

fn cgroup_text(proc: &Proc, pid: u32) -> Option<String> {
    let bytes = std::fs::read(proc.path().join(pid.to_string()).join("cgroup")).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}
