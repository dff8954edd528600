//! GOPEN (a bare path), OPEN and CREATE: names in the file system.
//!
//! OPEN opens in the directions that are used, unless `rdonly`, `wronly` or `rdwr` says otherwise,
//! and creates nothing without `creat`. CREATE is creat(2): write only, truncated. GOPEN connects to
//! what is a socket, appends to what exists, and creates what does not.
//!
//! A named pipe that is opened for one direction makes its opener wait for the other end
//! (fifo(7)); that is left to a thread (`waiting.rs`).

use std::fs;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::path::PathBuf;
use std::sync::Arc;

use nix::fcntl::{open, OFlag};
use nix::sys::stat::Mode;
use nsplice_relay::{Attempt, OpenError, Opener, Progress, Upstream, Wake};

use crate::endpoint::settings::apply_all;
use crate::endpoint::{connect, Context};
use crate::fault::Fault;
use crate::journal::{Journal, Level};
use crate::language::{Address, Keyword, Opt};

use super::adjustments::Adjustments;
use super::entry::{failure, Entry, Pinned};
use super::error::refused;
use super::side::{answered, check, held, pair, Way};
use super::terminal::Settings;
use super::waiting::Waiting;

/// The opener of a name in the file system.
pub(super) fn opener(
    address: &Address,
    way: Way,
    context: &Context,
) -> Result<Box<dyn Opener>, Fault> {
    let path = PathBuf::from(address.parameters.first().cloned().unwrap_or_default());
    let manner = match address.keyword {
        Keyword::Gopen => Manner::General,
        Keyword::Create => Manner::Create,
        _ => Manner::Open,
    };
    Ok(Box::new(Named(Arc::new(FileSpec {
        manner,
        flags: flags(address, way),
        is_append_given: address.setting(Opt::Append).is_some(),
        adjustments: Adjustments::of_named(address),
        terminal: Settings::of(address),
        entry: Entry::of(address, path)?,
        way,
        address: address.clone(),
        context: context.clone(),
    }))))
}

/// Returns the flags that open(2) is asked for.
pub(super) fn flags(address: &Address, way: Way) -> OFlag {
    let mut flags = match way {
        Way::Both => OFlag::O_RDWR,
        Way::Read => OFlag::O_RDONLY,
        Way::Write => OFlag::O_WRONLY,
    };
    for setting in address.options.iter().filter(|setting| address.has(setting.option)) {
        let access = match setting.option {
            Opt::ReadOnly => OFlag::O_RDONLY,
            Opt::WriteOnly => OFlag::O_WRONLY,
            Opt::ReadWrite => OFlag::O_RDWR,
            _ => continue,
        };
        flags = access;
    }
    let more = [
        (Opt::Creat, OFlag::O_CREAT),
        (Opt::Excl, OFlag::O_EXCL),
        (Opt::Append, OFlag::O_APPEND),
        (Opt::Trunc, OFlag::O_TRUNC),
        (Opt::NonBlock, OFlag::O_NONBLOCK),
    ];
    for (option, flag) in more {
        flags.set(flag, address.has(option));
    }
    flags
}

/// How a name is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// As whatever it is.
    General,
    /// open(2)
    Open,
    /// creat(2)
    Create,
}

#[derive(Debug)]
struct Named(Arc<FileSpec>);

impl Opener for Named {
    fn backend(&self) -> &'static str {
        "file"
    }

    fn open(&mut self, downstream: Option<BorrowedFd<'_>>) -> Box<dyn Attempt> {
        let found = self.0.found();
        if self.0.manner == Manner::General && found.is_some_and(|kind| kind.is_socket()) {
            return self.0.connect(downstream);
        }
        let flags = self.0.flags_for(found);
        let spec = Arc::clone(&self.0);
        if found.is_some_and(|kind| kind.is_fifo()) && waits(flags) {
            let pinned = self.0.entry.pinned();
            return Waiting::start(self.0.entry.unlinked(), move || {
                spec.open(found, flags, pinned.as_ref())
                    .and_then(|descriptor| spec.adjust(&descriptor))
            });
        }
        let descriptor = match self.0.open(found, flags, None) {
            Ok(descriptor) => descriptor,
            Err(error) => return answered(Err(error)),
        };
        let hold = self.0.entry.unlinked();
        if self.0.adjustments.waits() {
            return Waiting::start(hold, move || spec.adjust(&descriptor));
        }
        answered(self.0.adjust(&descriptor).map(|upstream| held(upstream, hold)))
    }
}

/// Returns whether opening a named pipe with `flags` waits for its other end.
pub(super) fn waits(flags: OFlag) -> bool {
    flags & OFlag::O_ACCMODE != OFlag::O_RDWR && !flags.contains(OFlag::O_NONBLOCK)
}

#[derive(Debug)]
struct FileSpec {
    manner: Manner,
    flags: OFlag,
    is_append_given: bool,
    adjustments: Adjustments,
    terminal: Settings,
    entry: Entry,
    way: Way,
    address: Address,
    context: Context,
}

impl FileSpec {
    /// Connects to the socket of that name as UNIX-CLIENT does.
    fn connect(&self, downstream: Option<BorrowedFd<'_>>) -> Box<dyn Attempt> {
        let address = Address { keyword: Keyword::UnixClient, ..self.address.clone() };
        let checked = address.check_as_socket().and_then(|()| address.check_options());
        match checked.and_then(|()| connect::opener(&address, &self.context)) {
            Ok(mut opener) => {
                let journal = self.context.journal.clone();
                Box::new(Connecting { attempt: opener.open(downstream), journal })
            }
            Err(fault) => answered(Err(failure(fault))),
        }
    }

    /// What is behind the name, if there is anything that will still be there when it is opened.
    fn found(&self) -> Option<fs::FileType> {
        if self.address.has(Opt::UnlinkEarly) {
            return None;
        }
        fs::metadata(&self.entry.path).ok().map(|metadata| metadata.file_type())
    }

    fn flags_for(&self, found: Option<fs::FileType>) -> OFlag {
        let more = match self.manner {
            Manner::Open => OFlag::empty(),
            Manner::Create => return OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC,
            Manner::General if found.is_none() => OFlag::O_CREAT,
            // What is only read has no end to append to, and `append=0` is heeded.
            Manner::General if self.way == Way::Read || self.is_append_given => OFlag::empty(),
            Manner::General => OFlag::O_APPEND,
        };
        self.flags | more
    }

    fn open(
        &self,
        found: Option<fs::FileType>,
        flags: OFlag,
        pinned: Option<&Pinned>,
    ) -> Result<OwnedFd, OpenError> {
        self.address.check_as_file().map_err(failure)?;
        self.tell(found);
        let mode = self.entry.mode.unwrap_or(Mode::from_bits_truncate(DEFAULT_MODE));
        self.entry.make(|| {
            let path = pinned.map_or(&self.entry.path, |pinned| &pinned.path);
            open(path, flags | OFlag::O_CLOEXEC | OFlag::O_NOCTTY, mode)
                .map_err(|errno| refused(self.told(flags, mode), errno))
        })
    }

    /// Makes what has been opened what it is to be.
    fn adjust(&self, descriptor: &OwnedFd) -> Result<Upstream, OpenError> {
        let (descriptor, number) = (descriptor.as_fd(), descriptor.as_raw_fd());
        check(descriptor, number, self.way)?;
        self.entry.hand_over(descriptor)?;
        // Which the kernel refuses.
        apply_all(descriptor, number, &self.address)?;
        self.adjustments.make(descriptor, number)?;
        let modes = self.terminal.apply(&[(descriptor, number)])?;
        Ok(held(pair(descriptor, descriptor, self.way)?, modes))
    }

    fn tell(&self, found: Option<fs::FileType>) {
        let what = match found {
            _ if self.manner == Manner::Create => "creating regular file",
            Some(kind) if kind.is_fifo() => "opening named pipe",
            Some(kind) if kind.is_char_device() => "opening character device",
            Some(kind) if kind.is_block_device() => "opening block device",
            Some(kind) if kind.is_dir() => "opening directory",
            _ => "opening regular file",
        };
        let (path, purpose) = (self.entry.path.display(), self.way.purpose());
        self.context.journal.tell(Level::Notice, format_args!("{what} \"{path}\" for {purpose}"));
    }

    /// The call as socat tells it.
    fn told(&self, flags: OFlag, mode: Mode) -> String {
        let (path, flags, mode) = (self.entry.path.display(), flags.bits(), mode.bits());
        match self.manner {
            Manner::Create => format!("creat(\"{path}\", 0{mode:03o})"),
            Manner::Open | Manner::General => format!("open(\"{path}\", 0{flags:o}, 0{mode:03o})"),
        }
    }
}

/// The permissions of a new file, before the umask.
pub(super) const DEFAULT_MODE: u32 = 0o666;

/// A connection to the socket behind a path, which is told once more when it is there.
#[derive(Debug)]
struct Connecting {
    attempt: Box<dyn Attempt>,
    journal: Journal,
}

impl Attempt for Connecting {
    fn advance(&mut self, wake: Wake) -> Progress {
        let progress = self.attempt.advance(wake);
        if matches!(progress, Progress::Open(_)) {
            // The name of the peer is never asked for.
            self.journal.tell(Level::Notice, "successfully connected via <anon>");
        }
        progress
    }

    fn source(&self) -> Option<BorrowedFd<'_>> {
        self.attempt.source()
    }
}
