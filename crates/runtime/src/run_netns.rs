//! Network namespaces that have names: files below `/run/netns`, where ip-netns(8) and CNI plugins keep
//! them.

use std::path::{Path, PathBuf};

use nix::sys::statfs::{fstatfs, NSFS_MAGIC};

use crate::directory::Directory;
use crate::identity::Identity;
use crate::root::FileError;

/// A network namespace that has a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedNamespace {
    /// The name.
    pub name: String,
    /// Its file, for us.
    pub path: PathBuf,
    /// Which one it is.
    pub identity: Identity,
}

/// Where they are.
const RUN_DIRECTORY: &str = "/run/netns";

/// One for each pod, at most.
const MOST: usize = 20_000;

impl Directory {
    /// The namespaces that have names, in the order of those. A name that is left of one that is gone is
    /// passed over.
    ///
    /// # Errors
    /// When there is a directory of names that cannot be read, with its path.
    pub fn named_namespaces(&self) -> Result<Vec<NamedNamespace>, (PathBuf, FileError)> {
        let directory = Path::new(RUN_DIRECTORY);
        let names = match self.root().names(directory, MOST) {
            Err(FileError::Absent) => Vec::new(),
            names => names.map_err(|error| (self.root().shown(directory), error))?,
        };
        Ok(names.into_iter().filter_map(|name| self.named_namespace(directory, name)).collect())
    }

    fn named_namespace(&self, directory: &Path, name: String) -> Option<NamedNamespace> {
        let path = directory.join(&name);
        let held = self.root().open_path(&path).ok()?;
        let is_namespace = fstatfs(&held).is_ok_and(|about| about.filesystem_type() == NSFS_MAGIC);
        let identity = Identity::of_fd(&held).ok().filter(|_| is_namespace)?;
        // Below the root of another mount namespace there may be names that are not for us.
        let path = self.root().shown(&path);
        let is_ours = Identity::of_path(&path).is_ok_and(|ours| ours == identity);
        is_ours.then_some(NamedNamespace { name, path, identity })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::Root;
    use nsplice_testkit::Namespace;
    use std::fs;

    #[test]
    fn what_has_a_name_and_is_a_namespace_is_listed() {
        let Some(namespace) = Namespace::for_test("what_has_a_name_and_is_a_namespace") else {
            return;
        };
        let directory = Directory::of(Root::own().unwrap(), None);
        let named = directory.named_namespaces().unwrap();
        let ours = named.iter().find(|each| each.name == namespace.name()).unwrap();
        assert_eq!(ours.path, namespace.path());
        assert_eq!((ours.identity.device, ours.identity.inode), namespace.identity());
    }

    #[test]
    fn a_file_of_the_directory_is_no_namespace() {
        let node = tempfile::tempdir().unwrap();
        let directory = Directory::of(Root::at(node.path()).unwrap(), None);
        assert_eq!(directory.named_namespaces().unwrap(), []);
        fs::create_dir_all(node.path().join("run/netns")).unwrap();
        fs::write(node.path().join("run/netns/left"), "").unwrap();
        std::os::unix::fs::symlink("/proc/self/ns/net", node.path().join("run/netns/out")).unwrap();
        assert_eq!(directory.named_namespaces().unwrap(), []);
    }
}
