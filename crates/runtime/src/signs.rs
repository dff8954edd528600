//! Signs of life: whether containers have come or gone on the node since, as far as that can be seen
//! without asking a runtime.
//!
//! A runtime makes a directory for each container that it starts, beside those of the others, and removes
//! it at the end. The directory above has another time then (st_mtime of inode(7)), which tells that
//! something has changed, though not what. Where nothing of that can be seen, no sign is ever given: a
//! sign says that a look is worth its price, none says nothing.

use std::path::{Path, PathBuf};

use crate::root::Root;
use crate::state::{Stamp, State};

/// What was seen at one moment. Two that differ are a sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signs {
    stamps: Vec<(PathBuf, Option<Stamp>)>,
    /// How many containers have been started, for all that engines have said by themselves.
    starts: u64,
}

impl Signs {
    /// Those of now, below `root`, where containers have their directories in `states`, and so many were
    /// heard of being started.
    pub(crate) fn of<'a>(
        root: &Root,
        states: impl Iterator<Item = &'a State>,
        starts: u64,
    ) -> Self {
        let others = OCI_STATES.iter().map(PathBuf::from);
        let stamped = |path: PathBuf| {
            let stamp = stamp_of(root, &path);
            (path, stamp)
        };
        let shelves = states.flat_map(|state| state.shelves(root));
        Self { stamps: shelves.chain(others).map(stamped).collect(), starts }
    }
}

fn stamp_of(root: &Root, path: &Path) -> Option<Stamp> {
    root.status(path).ok().map(|status| Stamp::of(&status))
}

/// Where runc and crun, started by podman and CRI-O, keep a directory for each container that runs: theirs
/// stay when a container is stopped.
const OCI_STATES: [&str; 2] = ["/run/runc", "/run/crun"];

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_container_that_comes_or_goes_is_a_sign() {
        let node = tempfile::tempdir().unwrap();
        let root = Root::at(node.path()).unwrap();
        let states = [
            State::containerd("/run/containerd"),
            State::storage("/var/lib/containers/storage", "/run/containers/storage"),
            State::docker("/var/lib/docker"),
        ];
        let now = || Signs::of(&root, states.iter(), 0);
        let mut before = now();
        assert_eq!(now(), before, "nothing is there, and nothing has changed");
        for path in [
            "run/containerd/io.containerd.runtime.v2.task/k8s.io/c0ffee",
            "run/containers/storage/overlay-containers/c0ffee",
            "var/lib/docker/containers/c0ffee",
            "run/runc/c0ffee",
        ] {
            let path = node.path().join(path);
            for is_there in [true, false] {
                if is_there {
                    fs::create_dir_all(&path).unwrap();
                } else {
                    fs::remove_dir(&path).unwrap();
                }
                // Times of files are as fine as the kernel's tick, and the size of a directory need not
                // change.
                age(path.parent().unwrap(), is_there);
                assert_ne!(now(), before, "{} {is_there}", path.display());
                before = now();
            }
        }
        assert_eq!(now(), before);
        assert_ne!(Signs::of(&root, states.iter(), 1), before);
    }

    /// Makes the last change of `directory` an older one, by another time each.
    fn age(directory: &Path, by_more: bool) {
        let ago = std::time::Duration::from_secs(if by_more { 20 } else { 10 });
        let directory = fs::File::open(directory).unwrap();
        directory.set_modified(std::time::SystemTime::now() - ago).unwrap();
    }
}
