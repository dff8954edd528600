//! The program that a file is, told by what it says of itself.
//!
//! nsplice plays socat and nsenter well enough to answer `-V` as they do, so it is looked for first:
//! by the file that it is, which holds for links, and by its own name in the answer, which holds for
//! copies and other versions.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::unistd::read;

use crate::brood;
use crate::external::environment;
use crate::external::tools;

/// The program that a file turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Persona {
    /// nsplice, by whatever name.
    Nsplice,
    /// The real socat, with its version.
    Socat(String),
    /// The real nsenter, with the version of util-linux.
    UtilLinux(String),
}

/// Returns which program `path` is; `None` if it is none that we know, or must not be run.
pub(crate) fn of(path: &Path) -> Option<Persona> {
    let identity = |path: &Path| fs::metadata(path).map(|file| (file.dev(), file.ino())).ok();
    let own = identity(Path::new("/proc/self/exe"));
    if own.is_some() && own == identity(path) {
        return Some(Persona::Nsplice);
    }
    recognized(&answer(path)?)
}

/// The program that answers `-V` so.
fn recognized(answer: &str) -> Option<Persona> {
    if answer.contains("nsplice") {
        return Some(Persona::Nsplice);
    }
    let mut lines = answer.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let (first, second) = (lines.next()?, lines.next().unwrap_or_default());
    match (first.as_slice(), second.as_slice()) {
        (["socat", ..], ["socat", "version", version, ..]) => {
            Some(Persona::Socat((*version).to_owned()))
        }
        ([_, "from", "util-linux", version, ..], _) => {
            Some(Persona::UtilLinux((*version).to_owned()))
        }
        _ => None,
    }
}

/// What `path -V` writes to its standard output.
fn answer(path: &Path) -> Option<String> {
    if !tools::is_trusted(path) {
        return None;
    }
    let mut command = Command::new(path);
    command.env_clear().envs(environment::of_child());
    command.arg("-V").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = brood::start(&mut command).ok()?;
    let mut said = Vec::new();
    if let Some(stdout) = &child.stdout {
        let deadline = Instant::now() + PATIENCE;
        let mut block = [0; BLOCK];
        while said.len() < BLOCK {
            let left = PollTimeout::try_from(deadline.saturating_duration_since(Instant::now()));
            let mut ready = [PollFd::new(stdout.as_fd(), PollFlags::POLLIN)];
            match left.map(|left| poll(&mut ready, left)) {
                Ok(Ok(1..)) => {}
                _ => break,
            }
            match read(stdout, &mut block) {
                Ok(count @ 1..) => said.extend_from_slice(block.get(..count).unwrap_or_default()),
                _ => break,
            }
        }
    }
    // It has answered, or will not; either way nobody waits for more.
    let _ = child.kill();
    let _ = brood::collect(child.id(), || child.wait());
    Some(String::from_utf8_lossy(&said).into_owned())
}

/// How long a program may take to answer, and how much of its answer is read.
const PATIENCE: Duration = Duration::from_secs(2);
const BLOCK: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{set_permissions, write, Permissions};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn programs_are_recognized_by_their_answers() {
        let told = |answer: &str| recognized(answer);
        assert_eq!(
            told("socat by Gerhard Rieger and contributors - see www.dest-unreach.org\nsocat version 1.7.4.4 on 06 Nov 2022 08:15:51\n"),
            Some(Persona::Socat("1.7.4.4".to_owned()))
        );
        let real = told("nsenter from util-linux 2.38.1\n");
        assert_eq!(real, Some(Persona::UtilLinux("2.38.1".to_owned())));
        assert_eq!(
            told("nsenter from util-linux 2.38.1\nplayed by nsplice\n"),
            Some(Persona::Nsplice)
        );
        assert_eq!(told("socat version 1\n"), None);
        assert_eq!(told(""), None);
    }

    #[test]
    fn a_program_is_asked_only_if_it_may_be_run() {
        let own = std::env::current_exe().unwrap();
        assert_eq!(of(&own), Some(Persona::Nsplice));
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socat");
        write(&path, "#!/bin/sh\necho nsenter from util-linux 7\n").unwrap();
        set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        assert_eq!(of(&path), Some(Persona::UtilLinux("7".to_owned())));
        set_permissions(&path, Permissions::from_mode(0o757)).unwrap();
        assert_eq!(of(&path), None);
    }
}
