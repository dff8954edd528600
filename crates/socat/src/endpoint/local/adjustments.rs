//! Changes that options make to a descriptor that is open: its offset, its locks, its flags, its
//! owners.
//!
//! The offset, O_APPEND and the owners belong to what is behind the descriptor, and so to everybody
//! who shares it; they are changed because the command line says so. So does O_NONBLOCK, which makes
//! no difference to us: nothing here ever waits in a read or a write.

use std::os::fd::{AsFd, BorrowedFd, RawFd};

use nix::fcntl::{fcntl, FcntlArg, OFlag};
use nix::sys::stat::{fchmod, Mode};
use nix::unistd::{fchown, lseek, Gid, Uid, Whence};
use nsplice_relay::OpenError;

use crate::endpoint::socket_file::mode_of;
use crate::fault::Fault;
use crate::language::{Address, Opt};

use super::entry::{group, owners, user};
use super::error::refused;

/// The changes, in the order in which they are made.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Adjustments {
    mode: Option<Mode>,
    user: Option<Uid>,
    group: Option<Gid>,
    locks: bool,
    appends: bool,
    /// `nonblock`, if it was given.
    is_nonblocking: Option<bool>,
    seek: Option<i64>,
}

impl Adjustments {
    /// All that `address` asks for.
    pub(super) fn of(address: &Address) -> Result<Self, Fault> {
        Ok(Self {
            mode: address.number(Opt::Mode).map(mode_of),
            user: user(address, Opt::User)?,
            group: group(address, Opt::Group)?,
            appends: address.has(Opt::Append),
            is_nonblocking: address.number(Opt::NonBlock).map(|on| on != 0),
            ..Self::of_named(address)
        })
    }

    /// Reads what `address` asks for beyond what opening a name by it has done already.
    pub(super) fn of_named(address: &Address) -> Self {
        Self { locks: address.has(Opt::Lock), seek: address.number(Opt::Seek), ..Self::default() }
    }

    /// Returns whether making them may take its time: a lock that somebody else has.
    pub(super) fn waits(self) -> bool {
        self.locks
    }

    /// Makes them on `descriptor`, which is told as `number`.
    pub(super) fn make(self, descriptor: BorrowedFd<'_>, number: RawFd) -> Result<(), OpenError> {
        if let Some(mode) = self.mode {
            fchmod(descriptor, mode).map_err(|errno| {
                refused(format_args!("fchmod({number}, 0{:03o})", mode.bits()), errno)
            })?;
        }
        if self.user.is_some() || self.group.is_some() {
            fchown(descriptor, self.user, self.group).map_err(|errno| {
                let owners = owners(self.user, self.group);
                refused(format_args!("fchown({number}, {owners})"), errno)
            })?;
        }
        if self.locks {
            fcntl(descriptor, FcntlArg::F_SETLKW(&whole_file())).map_err(|errno| {
                refused(format_args!("fcntl({number}, F_SETLKW, {{F_WRLCK}})"), errno)
            })?;
        }
        if self.appends {
            set(descriptor, OFlag::O_APPEND, true)
                .map_err(|errno| refused(format_args!("fcntl({number}, F_SETFL)"), errno))?;
        }
        if let Some(on) = self.is_nonblocking {
            set(descriptor, OFlag::O_NONBLOCK, on)
                .map_err(|errno| refused(format_args!("fcntl({number}, F_SETFL)"), errno))?;
        }
        if let Some(offset) = self.seek {
            lseek(descriptor, offset, Whence::SeekSet)
                .map_err(|errno| refused(format_args!("lseek64({number}, {offset}, 0)"), errno))?;
        }
        Ok(())
    }
}

fn set(descriptor: BorrowedFd<'_>, flag: OFlag, on: bool) -> nix::Result<()> {
    let mut flags = OFlag::from_bits_retain(fcntl(descriptor.as_fd(), FcntlArg::F_GETFL)?);
    flags.set(flag, on);
    fcntl(descriptor, FcntlArg::F_SETFL(flags)).map(drop)
}

/// A write lock from the beginning to wherever the end may come to be.
fn whole_file() -> libc::flock {
    let small = |number| libc::c_short::try_from(number).unwrap_or_default();
    libc::flock {
        l_type: small(libc::F_WRLCK),
        l_whence: small(libc::SEEK_SET),
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}
