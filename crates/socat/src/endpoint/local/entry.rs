//! Names in the file system that an endpoint makes: their permissions, their owners, their end.
//!
//! What socat does by path after opening is done here through the descriptor, so that nobody can
//! put something else in the name's place in between; but a FIFO that has just been made gets its
//! owners by its name, because opening it may wait for them.

use std::fs;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{chown as chown_path, PermissionsExt};
use std::path::PathBuf;

use nix::fcntl::{open, AtFlags, OFlag, AT_FDCWD};
use nix::sys::stat::{umask, Mode};
use nix::unistd::{fchown, fchownat, Gid, Uid};
use nsplice_relay::{Hold, OpenClass, OpenError};

use crate::endpoint::socket_file::{mode_of, SocketFile};
use crate::fault::Fault;
use crate::language::{value, Address, Opt, Value};

use super::error::{failed, refused};

/// A name and what is asked for it.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) path: PathBuf,
    /// Permissions of what is created.
    pub(super) mode: Option<Mode>,
    user: Option<Uid>,
    group: Option<Gid>,
    umask: Option<Mode>,
    early: Early,
    /// `unlink-close`, if it was given.
    pub(super) unlink_close: Option<bool>,
}

/// What is done to the name before it is opened.
#[derive(Debug, Clone, Default)]
struct Early {
    mode: Option<Mode>,
    user: Option<Uid>,
    group: Option<Gid>,
    unlink: bool,
}

/// A file by a name that nothing else can take.
#[derive(Debug)]
pub(super) struct Pinned {
    pub(super) path: PathBuf,
    _file: OwnedFd,
}

impl Entry {
    /// The options of `address` for `path`.
    pub(super) fn of(address: &Address, path: PathBuf) -> Result<Self, Fault> {
        let mode = |option| address.number(option).map(mode_of);
        Ok(Self {
            path,
            mode: mode(Opt::Mode),
            user: user(address, Opt::User)?,
            group: group(address, Opt::Group)?,
            umask: mode(Opt::Umask),
            early: Early {
                mode: mode(Opt::PermEarly),
                user: user(address, Opt::UserEarly)?,
                group: group(address, Opt::GroupEarly)?,
                unlink: address.has(Opt::Unlink) || address.has(Opt::UnlinkEarly),
            },
            unlink_close: address
                .setting(Opt::UnlinkClose)
                .map(|setting| setting.value != Value::Flag(false)),
        })
    }

    /// Runs `open` with the umask that was asked for, after what has to come before it.
    pub(super) fn make<T>(
        &self,
        open: impl FnOnce() -> Result<T, OpenError>,
    ) -> Result<T, OpenError> {
        self.prepare()?;
        let former = self.umask.map(umask);
        let result = open();
        if let Some(former) = former {
            umask(former);
        }
        result
    }

    fn prepare(&self) -> Result<(), OpenError> {
        let Early { mode, user, group, unlink } = &self.early;
        let (path, name) = (&self.path, self.path.display());
        if *unlink {
            match fs::remove_file(path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(failed(format_args!("unlink(\"{name}\")"), &error));
                }
                _ => {}
            }
        }
        if let Some(mode) = mode {
            fs::set_permissions(path, fs::Permissions::from_mode(mode.bits())).map_err(
                |error| {
                    let mode = mode.bits();
                    failed(format_args!("chmod(\"{name}\", 0{mode:03o})"), &error)
                },
            )?;
        }
        if user.is_some() || group.is_some() {
            chown_path(path, user.map(Uid::as_raw), group.map(Gid::as_raw)).map_err(|error| {
                failed(format_args!("chown(\"{name}\", {})", owners(*user, *group)), &error)
            })?;
        }
        Ok(())
    }

    /// Returns what is behind the name now, for an open(2) that waits: one that comes late, after
    /// its link was given up, must not be the other end of what has taken the name by then. Nothing
    /// where that cannot be had; the name has to do there.
    pub(super) fn pinned(&self) -> Option<Pinned> {
        if self.early.unlink {
            return None;
        }
        let file = open(&self.path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).ok()?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        path.exists().then_some(Pinned { path, _file: file })
    }

    /// Gives what was opened to the owners that were asked for.
    pub(super) fn hand_over(&self, descriptor: BorrowedFd<'_>) -> Result<(), OpenError> {
        self.give(|user, group| fchown(descriptor, user, group))
    }

    /// Does the same to what has just been made under the name and cannot be opened before its owners
    /// have opened it.
    pub(super) fn hand_over_made(&self) -> Result<(), OpenError> {
        let flags = AtFlags::AT_SYMLINK_NOFOLLOW;
        self.give(|user, group| fchownat(AT_FDCWD, &self.path, user, group, flags))
    }

    fn give(
        &self,
        change: impl FnOnce(Option<Uid>, Option<Gid>) -> nix::Result<()>,
    ) -> Result<(), OpenError> {
        if self.user.is_none() && self.group.is_none() {
            return Ok(());
        }
        change(self.user, self.group).map_err(|errno| {
            let (name, owners) = (self.path.display(), owners(self.user, self.group));
            refused(format_args!("chown(\"{name}\", {owners})"), errno)
        })
    }

    /// Removes the name at the end of the link, if that was asked for.
    pub(super) fn unlinked(&self) -> Option<Box<dyn Hold>> {
        (self.unlink_close == Some(true)).then(|| self.removed())
    }

    /// Removes the name in the end, if it is the same file still.
    pub(super) fn removed(&self) -> Box<dyn Hold> {
        Box::new(SocketFile::made(&self.path))
    }
}

/// A user and a group as chown(2) takes them.
pub(super) fn owners(user: Option<Uid>, group: Option<Gid>) -> String {
    let number = |id: Option<u32>| id.map_or_else(|| "-1".to_owned(), |id| id.to_string());
    format!("{}, {}", number(user.map(Uid::as_raw)), number(group.map(Gid::as_raw)))
}

/// The user that `option` names, or numbers.
pub(super) fn user(address: &Address, option: Opt) -> Result<Option<Uid>, Fault> {
    address.text(option).map(value::user).transpose()
}

/// The group that `option` names, or numbers.
pub(super) fn group(address: &Address, option: Opt) -> Result<Option<Gid>, Fault> {
    address.text(option).map(value::group).transpose()
}

/// A failure that no system call has told.
pub(super) fn failure(detail: impl std::fmt::Display) -> OpenError {
    OpenError::new(OpenClass::Other, detail.to_string())
}
