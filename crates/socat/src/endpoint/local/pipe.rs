//! PIPE: without a name an echo, with a name a FIFO in the file system.
//!
//! A name that does not exist is made with mkfifo(3), gets its owners at once, for whoever they are is
//! to open the other end, and is removed when the link ends, or the wait for the other end, unless
//! `unlink-close=0`; one that exists is opened as it is and stays. Used both ways it is opened for
//! reading and writing, and so never sees an end.

use std::fs;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::fcntl::{fcntl, open, FcntlArg, OFlag};
use nix::sys::stat::Mode;
use nix::unistd::{mkfifo, pipe2};
use nsplice_relay::{Attempt, Hold, OpenError, Opener, Upstream};

use crate::endpoint::Context;
use crate::fault::Fault;
use crate::journal::{Journal, Level};
use crate::language::Address;

use super::adjustments::Adjustments;
use super::entry::{Entry, Pinned};
use super::error::refused;
use super::file::{flags, waits, DEFAULT_MODE};
use super::side::{answered, held, pair, Way};
use super::waiting::Waiting;

/// The opener of a pipe.
pub(super) fn opener(
    address: &Address,
    way: Way,
    context: &Context,
) -> Result<Box<dyn Opener>, Fault> {
    let journal = context.journal.clone();
    let Some(path) = address.parameters.first() else {
        return Ok(Box::new(Echo(journal)));
    };
    let entry = Entry::of(address, PathBuf::from(path))?;
    let (flags, adjustments) = (flags(address, way), Adjustments::of_named(address));
    Ok(Box::new(Fifo(Arc::new(FifoSpec { entry, flags, adjustments, way, journal }))))
}

/// A pipe without a name.
#[derive(Debug)]
struct Echo(Journal);

impl Opener for Echo {
    fn backend(&self) -> &'static str {
        "pipe"
    }

    fn open(&mut self, _downstream: Option<BorrowedFd<'_>>) -> Box<dyn Attempt> {
        let pipe = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK);
        self.0.tell(Level::Notice, "writing to and reading from unnamed pipe");
        answered(
            pipe.map(|(source, sink)| Upstream::Pair { source, sink })
                .map_err(|errno| refused("pipe()", errno)),
        )
    }
}

/// A pipe with a name.
#[derive(Debug)]
struct Fifo(Arc<FifoSpec>);

impl Opener for Fifo {
    fn backend(&self) -> &'static str {
        "pipe"
    }

    fn open(&mut self, _downstream: Option<BorrowedFd<'_>>) -> Box<dyn Attempt> {
        let made = match self.0.make() {
            Ok(made) => made,
            Err(error) => return answered(Err(error)),
        };
        let spec = Arc::clone(&self.0);
        if waits(self.0.flags) || self.0.adjustments.waits() {
            let pinned = self.0.entry.pinned();
            return Waiting::start(made, move || spec.open(pinned.as_ref()));
        }
        answered(spec.open(None).map(|upstream| held(upstream, made)))
    }
}

#[derive(Debug)]
struct FifoSpec {
    entry: Entry,
    flags: OFlag,
    adjustments: Adjustments,
    way: Way,
    journal: Journal,
}

impl FifoSpec {
    /// Makes the FIFO if there is nothing of that name, and answers what removes it.
    fn make(&self) -> Result<Option<Box<dyn Hold>>, OpenError> {
        let Entry { path, mode, unlink_close, .. } = &self.entry;
        let mode = mode.unwrap_or(Mode::from_bits_truncate(DEFAULT_MODE));
        let (name, purpose) = (path.display(), self.way.purpose());
        let is_new = self.entry.make(|| {
            if path.exists() {
                return Ok(false);
            }
            mkfifo(path, mode)
                .map(|()| true)
                .map_err(|errno| refused(format_args!("mkfifo({name}, {})", mode.bits()), errno))
        })?;
        let what = match is_new {
            true => "created named pipe",
            false if is_fifo(path) => "opening named pipe",
            false => "opening regular file",
        };
        self.journal.tell(Level::Notice, format_args!("{what} \"{name}\" for {purpose}"));
        let made = (is_new && *unlink_close != Some(false)).then(|| self.entry.removed());
        if is_new {
            self.entry.hand_over_made()?;
        }
        Ok(made)
    }

    fn open(&self, pinned: Option<&Pinned>) -> Result<Upstream, OpenError> {
        let path = pinned.map_or(&self.entry.path, |pinned| &pinned.path);
        let descriptor =
            open(path, self.flags | OFlag::O_CLOEXEC, Mode::empty()).map_err(|errno| {
                let (name, flags) = (self.entry.path.display(), self.flags.bits());
                refused(format_args!("open(\"{name}\", 0{flags:o}, 0{DEFAULT_MODE:o})"), errno)
            })?;
        self.entry.hand_over(descriptor.as_fd())?;
        self.adjustments.make(descriptor.as_fd(), descriptor.as_raw_fd())?;
        self.unblock(&descriptor)?;
        pair(descriptor.as_fd(), descriptor.as_fd(), self.way)
    }

    /// Sets O_NONBLOCK; the description is ours alone.
    fn unblock(&self, descriptor: &OwnedFd) -> Result<(), OpenError> {
        fcntl(descriptor, FcntlArg::F_SETFL(self.flags | OFlag::O_NONBLOCK))
            .map(drop)
            .map_err(|errno| refused("fcntl(F_SETFL, O_NONBLOCK)", errno))
    }
}

fn is_fifo(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_fifo())
}
