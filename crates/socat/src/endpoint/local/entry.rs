//! Names in the file system that an endpoint makes: their permissions, their owners, their end.
//!
//! What socat does by path after opening is done here through the descriptor, so that nobody can
//! put something else in the name's place in between.

use std::fs;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::{chown as chown_path, PermissionsExt};
use std::path::PathBuf;

use nix::sys::stat::{umask, Mode};
use nix::unistd::{fchown, Gid, Uid};
use nsplice_relay::{Hold, OpenClass, OpenError};

use crate::fault::Fault;
use crate::language::{value, Address, Opt, Value};

use super::{failed, refused};

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

    /// Gives what was opened to the owners that were asked for.
    pub(super) fn hand_over(&self, descriptor: BorrowedFd<'_>) -> Result<(), OpenError> {
        if self.user.is_none() && self.group.is_none() {
            return Ok(());
        }
        fchown(descriptor, self.user, self.group).map_err(|errno| {
            let (name, owners) = (self.path.display(), owners(self.user, self.group));
            refused(format_args!("chown(\"{name}\", {owners})"), errno)
        })
    }

    /// Removes the name at the end of the link, if that was asked for.
    pub(super) fn unlinked(&self) -> Option<Box<dyn Hold>> {
        (self.unlink_close == Some(true))
            .then(|| Box::new(Unlinked(self.path.clone())) as Box<dyn Hold>)
    }
}

/// A user and a group as chown(2) takes them.
pub(super) fn owners(user: Option<Uid>, group: Option<Gid>) -> String {
    let number = |id: Option<u32>| id.map_or_else(|| "-1".to_owned(), |id| id.to_string());
    format!("{}, {}", number(user.map(Uid::as_raw)), number(group.map(Gid::as_raw)))
}

/// Permissions from a number.
pub(super) fn mode_of(number: i64) -> Mode {
    Mode::from_bits_truncate(u32::try_from(number).unwrap_or_default())
}

/// The user that `option` names, or numbers.
pub(super) fn user(address: &Address, option: Opt) -> Result<Option<Uid>, Fault> {
    address.text(option).map(value::user).transpose()
}

/// The group that `option` names, or numbers.
pub(super) fn group(address: &Address, option: Opt) -> Result<Option<Gid>, Fault> {
    address.text(option).map(value::group).transpose()
}

/// A name that is removed when it is dropped.
#[derive(Debug)]
pub(super) struct Unlinked(pub(super) PathBuf);

impl Hold for Unlinked {}

impl Drop for Unlinked {
    /// Somebody else may have removed it; then there is nothing to do.
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// A failure that no system call has told.
pub(super) fn failure(detail: impl std::fmt::Display) -> OpenError {
    OpenError::new(OpenClass::Other, detail.to_string())
}
