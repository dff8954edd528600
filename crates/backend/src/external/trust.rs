//! The check whether a program may be run with our privileges.
//!
//! Whoever can put something else in the place of a program has our privileges. These are, for the
//! file and for each directory on the way to it, those of the targets of symbolic links included,
//! down from the root:
//!
//! * its owner, who may change its mode whatever it is. Root and our own user are trusted;
//! * everyone, if everyone may write to it. A directory with the sticky bit (`/tmp`) lets nobody
//!   rename what belongs to someone else (unlink(2), EPERM), and the owners of what is in it are looked
//!   at as well.
//!
//! The group is the owner's choice: on Debian `/usr/local` belongs to root and may be written by the
//! group `staff`. In a user namespace the owners outside of it look like nobody in particular
//! (user_namespaces(7)), and are trusted there: what they could do to us they can do anyway.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{absolute, Component, Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::geteuid;

/// A weakness of the way to a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Weakness {
    path: PathBuf,
    open_to: OpenTo,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OpenTo {
    Everyone,
    Owner(u32),
}

impl fmt::Display for Weakness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match self.open_to {
            OpenTo::Everyone => {
                write!(f, "everyone may write to {path}; `chmod o-w {path}` would help")
            }
            OpenTo::Owner(uid) => write!(
                f,
                "{path} belongs to the user {uid}, who may put something else there; \
                 `chown root {path}` would help"
            ),
        }
    }
}

/// The first weakness on the way to `path`, if there is one.
pub(crate) fn weakness(path: &Path) -> io::Result<Option<Weakness>> {
    let trusted = Trusted::here();
    let mut way = vec![absolute(path)?];
    let mut at = PathBuf::new();
    let mut links = 0;
    while let Some(rest) = way.pop() {
        let mut parts = rest.components();
        let Some(part) = parts.next() else { continue };
        way.push(parts.as_path().to_owned());
        match part {
            Component::Prefix(_) | Component::CurDir => continue,
            Component::ParentDir => {
                at.pop();
                continue;
            }
            Component::RootDir => at = PathBuf::from("/"),
            Component::Normal(name) => at.push(name),
        }
        let file = fs::symlink_metadata(&at)?;
        if let Some(open_to) = trusted.flaw(file.uid(), file.mode()) {
            return Ok(Some(Weakness { path: at, open_to }));
        }
        if file.is_symlink() {
            links += 1;
            if links > MOST_LINKS {
                return Err(Errno::ELOOP.into());
            }
            way.push(fs::read_link(&at)?);
            at.pop();
        }
    }
    Ok(None)
}

/// The users that are trusted.
#[derive(Debug, Clone, Copy)]
struct Trusted {
    own: u32,
    /// Who all the users outside of our user namespace look like.
    unmapped: Option<u32>,
}

impl Trusted {
    fn here() -> Self {
        let number = |path| fs::read_to_string(path).ok()?.trim().parse().ok();
        let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        let unmapped = match map.split_whitespace().collect::<Vec<_>>().as_slice() {
            // Everyone has a number of his own here.
            [] | ["0", "0", "4294967295"] => None,
            _ => number("/proc/sys/kernel/overflowuid"),
        };
        Self { own: geteuid().as_raw(), unmapped }
    }

    /// To whom else a file of this owner and mode is open.
    fn flaw(self, owner: u32, mode: u32) -> Option<OpenTo> {
        let kind = mode & libc::S_IFMT;
        if owner != 0 && owner != self.own && Some(owner) != self.unmapped {
            return Some(OpenTo::Owner(owner));
        }
        let is_guarded = kind == libc::S_IFDIR && mode & libc::S_ISVTX != 0;
        let is_open = kind != libc::S_IFLNK && mode & libc::S_IWOTH != 0;
        (is_open && !is_guarded).then_some(OpenTo::Everyone)
    }
}

/// Symbolic links followed, as many as the kernel follows (path_resolution(7)).
const MOST_LINKS: u32 = 40;

#[cfg(test)]
mod tests {
    use super::*;
    use nix::unistd::{chown, Uid};
    use std::fs::{create_dir_all, set_permissions, write, Permissions};
    use std::os::unix::fs::{symlink, PermissionsExt};

    const NOBODY: u32 = 65534;

    #[test]
    fn who_is_trusted_and_with_what() {
        let ours = Trusted { own: 1000, unmapped: None };
        let [file, directory, link] = [libc::S_IFREG, libc::S_IFDIR, libc::S_IFLNK];
        let table = [
            (0, file | 0o755, None),
            (1000, file | 0o700, None),
            (0, file | 0o775, None),
            (0, file | 0o757, Some(OpenTo::Everyone)),
            (0, file | 0o1757, Some(OpenTo::Everyone)),
            (1001, file | 0o755, Some(OpenTo::Owner(1001))),
            (NOBODY, directory | 0o700, Some(OpenTo::Owner(NOBODY))),
            (0, directory | 0o777, Some(OpenTo::Everyone)),
            (0, directory | 0o1777, None),
            (1001, directory | 0o1777, Some(OpenTo::Owner(1001))),
            (0, link | 0o777, None),
            (1001, link | 0o777, Some(OpenTo::Owner(1001))),
        ];
        for (owner, mode, flaw) in table {
            assert_eq!(ours.flaw(owner, mode), flaw, "{owner} {mode:o}");
        }
        let rootless = Trusted { own: 0, unmapped: Some(NOBODY) };
        assert_eq!(rootless.flaw(NOBODY, file | 0o755), None);
        assert_eq!(rootless.flaw(NOBODY, file | 0o757), Some(OpenTo::Everyone));
        assert_eq!(rootless.flaw(7, file | 0o755), Some(OpenTo::Owner(7)));
    }

    /// `top/middle/bin/socat` and, by two links in `elsewhere`, the way to it.
    fn tree() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let top = tempfile::tempdir().unwrap();
        let bin = top.path().join("middle/bin");
        create_dir_all(&bin).unwrap();
        let program = bin.join("socat");
        write(&program, "#!/bin/sh\n").unwrap();
        let elsewhere = top.path().join("elsewhere");
        create_dir_all(&elsewhere).unwrap();
        symlink("../middle/bin", elsewhere.join("bin")).unwrap();
        symlink("bin/./socat", elsewhere.join("program")).unwrap();
        let by_links = elsewhere.join("program");
        (top, program, by_links)
    }

    fn mode(path: &Path, mode: u32) {
        set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn every_directory_on_the_way_counts() {
        let (top, program, by_links) = tree();
        let [middle, bin, elsewhere] =
            ["middle", "middle/bin", "elsewhere"].map(|name| top.path().join(name));
        for way in [&program, &by_links] {
            assert_eq!(weakness(way).unwrap(), None, "{way:?}");
            for weak in [&program, &bin, &middle, &top.path().to_owned(), &elsewhere] {
                if weak == &elsewhere && way == &program {
                    continue;
                }
                let before = fs::metadata(weak).unwrap().mode();
                mode(weak, 0o777);
                let found = weakness(way).unwrap();
                let expected = Weakness { path: weak.clone(), open_to: OpenTo::Everyone };
                assert_eq!(found, Some(expected), "{way:?}");
                mode(weak, before);
            }
        }
    }

    #[test]
    fn every_owner_on_the_way_counts() {
        if !geteuid().is_root() {
            eprintln!("SKIP every_owner_on_the_way_counts: only root gives files away");
            return;
        }
        let (top, program, by_links) = tree();
        for weak in [program, top.path().join("middle")] {
            chown(&weak, Some(Uid::from_raw(NOBODY)), None).unwrap();
            let expected = Weakness { path: weak.clone(), open_to: OpenTo::Owner(NOBODY) };
            assert_eq!(weakness(&by_links).unwrap(), Some(expected));
            chown(&weak, Some(Uid::from_raw(0)), None).unwrap();
        }
        assert_eq!(weakness(&by_links).unwrap(), None);
    }

    #[test]
    fn links_in_a_circle_are_an_error() {
        let top = tempfile::tempdir().unwrap();
        symlink("b", top.path().join("a")).unwrap();
        symlink("a", top.path().join("b")).unwrap();
        let error = weakness(&top.path().join("a")).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ELOOP));
        assert!(weakness(&top.path().join("c")).is_err());
    }
}
