//! The programs under test by the names that they are called by.

use std::fs;
use std::os::unix::fs::{symlink, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use nsplice_testkit::program::copy_program;

use crate::compare::ours;

/// A directory in which ours is there under another name.
#[derive(Debug)]
pub(crate) struct Subject {
    directory: TempDir,
    path: PathBuf,
}

impl Subject {
    /// Ours by the name `name`.
    pub(crate) fn called(name: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(name);
        symlink(ours(), &path).unwrap();
        Self { directory, path }
    }

    /// Ours as a file that everyone may run, wherever it was built.
    pub(crate) fn for_everyone(name: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(name);
        copy_program(ours(), &path);
        for path in [directory.path(), &path] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        Self { directory, path }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A directory to use, which goes with it.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// It with the words of `line`.
    pub(crate) fn command(&self, line: &str) -> Command {
        self.wrapped("", line)
    }

    /// The same behind the words of `wrapper`, such as `prlimit --nofile=20`.
    pub(crate) fn wrapped(&self, wrapper: &str, line: &str) -> Command {
        let mut words = wrapper.split_whitespace().map(PathBuf::from).collect::<Vec<_>>();
        words.push(self.path.clone());
        words.extend(line.split_whitespace().map(PathBuf::from));
        let mut command = Command::new(&words[0]);
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("NSPLICE_") || name.starts_with("SOCAT_") {
                command.env_remove(&*name);
            }
        }
        command.args(&words[1..]).current_dir(self.directory()).stdin(Stdio::null());
        command
    }
}
