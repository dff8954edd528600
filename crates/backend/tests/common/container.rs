//! A process with a root of its own in a network namespace, as a container has.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nsplice_testkit::skip::require_tool;
use nsplice_testkit::{wait_until, Namespace};

/// A container: busybox, its `/etc`, and the machine's processes in its `/proc`. It ends with its input.
#[derive(Debug)]
pub(crate) struct Container {
    child: Child,
    directory: tempfile::TempDir,
}

/// Goes into the new root, and leaves the old one.
const SCRIPT: &str = "mount --make-rprivate /
    mount --bind \"$1\" \"$1\"
    mount --rbind /proc \"$1/proc\"
    cd \"$1\"
    pivot_root . old
    /bin/busybox umount -l /old
    /bin/busybox touch /ready
    exec /bin/busybox cat";

impl Container {
    /// A container in `namespace` with these `files` in its /etc; `None` and a line of `test` where there
    /// are no tools for it.
    pub(crate) fn new(test: &str, namespace: &Namespace, files: &[(&str, &str)]) -> Option<Self> {
        require_tool(test, "unshare")?;
        require_tool(test, "pivot_root")?;
        let busybox = require_tool(test, "busybox")?;
        let directory = tempfile::tempdir().expect("a directory");
        let root = directory.path().join("root");
        for name in ["etc", "bin", "proc", "old"] {
            fs::create_dir_all(root.join(name)).expect("make a directory");
        }
        fs::copy(busybox, root.join("bin/busybox")).expect("a copy of busybox");
        for (name, text) in files {
            fs::write(root.join("etc").join(name), text).expect("write a file");
        }
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-ec", SCRIPT, "sh"]).arg(&root).stdin(Stdio::piped());
        let child = namespace.inside(|| command.spawn().expect("a container"));
        let container = Self { child, directory };
        wait_until("the container to be there", || container.root().join("ready").exists());
        Some(container)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn target(&self) -> String {
        format!("pid/{}", self.pid())
    }

    /// Its root, as the machine sees it. What is beside it is out of its reach.
    pub(crate) fn root(&self) -> PathBuf {
        self.directory.path().join("root")
    }

    /// Puts what `make` makes in the place of the file `name` of its /etc.
    pub(crate) fn replace(&self, name: &str, make: impl FnOnce(&Path)) {
        let path = self.root().join("etc").join(name);
        let _ = fs::remove_file(&path);
        make(&path);
    }

    /// Ends it.
    pub(crate) fn kill(&mut self) {
        // Both fail if it has been waited for, and then there is nothing left to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        self.kill();
    }
}
