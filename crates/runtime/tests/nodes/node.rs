//! Trees of files that stand in for nodes.

use std::fs;
use std::path::{Path, PathBuf};

use nsplice_runtime::{Directory, Found, Place, Root, Unfound, Wanted};

/// A node whose files are in a directory of its own.
#[derive(Debug)]
pub(crate) struct Node {
    directory: tempfile::TempDir,
}

impl Node {
    /// A node with no files.
    pub(crate) fn empty() -> Self {
        Self { directory: tempfile::tempdir().expect("a directory") }
    }

    /// A node with the files of `fixtures/runtimes/NAME.tree`.
    pub(crate) fn of(name: &str) -> Self {
        let node = Self::empty();
        let tree = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../fixtures/runtimes")
            .join(name)
            .with_extension("tree");
        let text = fs::read_to_string(&tree).expect("a fixture");
        let mut files = text.split("\n=== ");
        files.next();
        for file in files {
            let (path, content) = file.split_once('\n').unwrap_or((file, ""));
            node.write(path, content.trim_end());
        }
        node
    }

    /// The path of the file `path` of the node.
    pub(crate) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.directory.path().join(path)
    }

    /// Writes the file `path`.
    pub(crate) fn write(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("make a directory");
        fs::write(path, content).expect("write a file");
    }

    /// A process of the node, in the control group `cgroup`.
    pub(crate) fn process(&self, pid: u32, cgroup: &str) {
        self.write(format!("proc/{pid}/cgroup"), cgroup);
        let zeros = ["0"; 18].join(" ");
        self.write(format!("proc/{pid}/stat"), format!("{pid} (server) S {zeros} 400 0 0"));
        self.write(format!("proc/{pid}/ns/net"), "");
    }

    /// Who knows what is on the node.
    pub(crate) fn directory(&self) -> Directory {
        Directory::of(Root::at(self.directory.path()).expect("a root"), None)
    }

    /// Finds what `words` mean on the node.
    pub(crate) fn find(&self, words: &str) -> Result<Found, Unfound> {
        self.directory().find(&wanted(words))
    }

    /// The number of the process by which `words` are found.
    pub(crate) fn pid(&self, words: &str) -> u32 {
        let found = self.find(words).unwrap_or_else(|error| panic!("{words}: {error}"));
        let Place::Path(path) = &found.place else { panic!("{words}: {found:?}") };
        let rest = path.strip_prefix(self.path("proc").canonicalize().expect("a /proc"));
        let pid = rest.expect("a process").components().next().expect("a number");
        pid.as_os_str().to_str().and_then(|pid| pid.parse().ok()).expect("a number")
    }
}

/// What `words` mean: `pod/NAME`, `container/NAME`, `docker/NAME`, `NAME`.
pub(crate) fn wanted(words: &str) -> Wanted {
    match words.split_once('/') {
        Some(("pod", name)) => Wanted::pod(name),
        Some(("container", name)) => Wanted::container(name),
        Some(("docker", name)) => Wanted::docker(name),
        _ => Wanted::bare(words),
    }
    .expect("a name")
}
