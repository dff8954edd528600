//! The file of a UNIX socket: its owner, group and mode, and its removal.
//!
//! The order is socat's: `unlink-early` before the socket exists; `mode`, `user` and `group` when it
//! is bound; then the `-early` ones, and `unlink`. All of it comes before listen(2), and until then
//! nobody can connect, whatever the file's mode.

use std::fs::Permissions;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::stat::{lstat, umask, FileStat, Mode};
use nix::unistd::{chown, unlink, Gid, Uid};
use nsplice_relay::{Hold, OpenClass, OpenError, Upstream};

use crate::fault::Fault;
use crate::language::value::{group, user};
use crate::language::{Address, Opt, Setting, Value};

use super::name::escaped;

/// One thing that is done to a file.
#[derive(Debug, Clone, Copy)]
enum Change {
    Mode(u32),
    User(Uid),
    Group(Gid),
}

/// The wishes that the options of an address tell.
#[derive(Debug, Default)]
pub(crate) struct Wishes {
    unlink_early: bool,
    umask: Option<Mode>,
    /// In the order in which they were given.
    bound: Vec<Change>,
    early: Vec<Change>,
    unlink: bool,
    pub(crate) unlink_close: bool,
}

impl Wishes {
    /// Reads what `address` asks for. Users and groups are looked up.
    pub(crate) fn of(address: &Address) -> Result<Self, Fault> {
        let on = |option, default| match address.setting(option) {
            Some(Setting { value: Value::Flag(on), .. }) => *on,
            _ => default,
        };
        let mut wishes = Self {
            unlink_early: on(Opt::UnlinkEarly, false),
            unlink: on(Opt::Unlink, false),
            unlink_close: on(Opt::UnlinkClose, true),
            umask: address.number(Opt::Umask).map(mask),
            ..Self::default()
        };
        for Setting { option, value, .. } in &address.options {
            let early = matches!(option, Opt::PermEarly | Opt::UserEarly | Opt::GroupEarly);
            let change = match (option, value) {
                (Opt::Mode | Opt::PermEarly, Value::Number(mode)) => Change::mode(*mode),
                (Opt::User | Opt::UserEarly, Value::Text(name)) => Change::User(user(name)?),
                (Opt::Group | Opt::GroupEarly, Value::Text(name)) => Change::Group(group(name)?),
                _ => continue,
            };
            if early { &mut wishes.early } else { &mut wishes.bound }.push(change);
        }
        Ok(wishes)
    }

    /// Makes room for the file: removes what is there if that was asked for.
    pub(crate) fn clear(&self, path: &Path) -> Result<(), OpenError> {
        let told = escaped(path.as_os_str());
        if self.unlink_early {
            return match unlink(path) {
                Ok(()) | Err(Errno::ENOENT) => Ok(()),
                Err(errno) => Err(failed(format_args!("unlink(\"{told}\")"), errno)),
            };
        }
        if path.symlink_metadata().is_ok() {
            return Err(OpenError::new(OpenClass::Other, format!("\"{told}\" exists")));
        }
        Ok(())
    }

    /// Runs `bind` with the umask that was asked for.
    pub(crate) fn masked<T>(&self, bind: impl FnOnce() -> T) -> T {
        let former = self.umask.map(umask);
        let bound = bind();
        if let Some(former) = former {
            umask(former);
        }
        bound
    }

    /// Makes the file what it is to be, now that it is there.
    pub(crate) fn dress(&self, path: &Path) -> Result<(), OpenError> {
        self.bound.iter().chain(&self.early).try_for_each(|change| change.make(path))?;
        if self.unlink {
            unlink(path).map_err(|errno| {
                failed(format_args!("unlink(\"{}\")", escaped(path.as_os_str())), errno)
            })?;
        }
        Ok(())
    }
}

impl Change {
    fn mode(number: i64) -> Self {
        Self::Mode(u32::try_from(number & 0o7777).unwrap_or(0))
    }

    fn make(self, path: &Path) -> Result<(), OpenError> {
        let told = escaped(path.as_os_str());
        match self {
            Self::Mode(mode) => std::fs::set_permissions(path, Permissions::from_mode(mode))
                .map_err(|error| {
                    OpenError::from_io(format!("chmod(\"{told}\", 0{mode:o})"), &error)
                }),
            Self::User(user) => chown(path, Some(user), None)
                .map_err(|errno| failed(format_args!("chown(\"{told}\", {user}, -1)"), errno)),
            Self::Group(group) => chown(path, None, Some(group))
                .map_err(|errno| failed(format_args!("chown(\"{told}\", -1, {group})"), errno)),
        }
    }
}

/// Permissions from a number.
pub(crate) fn mode_of(number: i64) -> Mode {
    Mode::from_bits_truncate(u32::try_from(number).unwrap_or_default())
}

fn mask(number: i64) -> Mode {
    Mode::from_bits_truncate(u32::try_from(number & 0o777).unwrap_or(0))
}

fn failed(what: std::fmt::Arguments<'_>, errno: Errno) -> OpenError {
    OpenError::from_io(what, &errno.into())
}

/// A file, a socket's or a FIFO, that is removed in the end, if it is the same file still.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    identity: Option<(u64, u64)>,
}

impl SocketFile {
    /// The file that has just been made at `path`.
    pub(crate) fn made(path: &Path) -> Self {
        let identity = lstat(path).ok().as_ref().map(identity);
        Self { path: path.to_owned(), identity }
    }
}

impl Hold for SocketFile {}

/// `socket`, and the file that goes with it if there is one.
pub(crate) fn with_file(socket: OwnedFd, file: Option<SocketFile>) -> Upstream {
    let upstream = Upstream::Stream(socket);
    match file {
        None => upstream,
        Some(file) => Upstream::Held { upstream: Box::new(upstream), hold: Box::new(file) },
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Whoever put another file in its place needs that one.
        let now = lstat(&self.path).ok().as_ref().map(identity);
        if now.is_some() && now == self.identity {
            // Nobody is left to be told that it could not be removed.
            let _ = unlink(&self.path);
        }
    }
}

fn identity(status: &FileStat) -> (u64, u64) {
    (status.st_dev, status.st_ino)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn a_sockets_file_is_removed_unless_it_is_another_one_by_now() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let first = UnixListener::bind(&path).unwrap();
        drop(SocketFile::made(&path));
        assert!(!path.exists());
        let _second = UnixListener::bind(&path).unwrap();
        let stale = SocketFile { path: path.clone(), identity: Some((0, 0)) };
        drop(stale);
        assert!(path.exists());
        drop(first);
    }
}
