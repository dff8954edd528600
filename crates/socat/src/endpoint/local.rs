//! Endpoints on this machine: inherited descriptors, files, pipes and programs.
//!
//! Opening one is immediate (only a named pipe may have to wait for its other end), so an opener
//! does all of it in `open` and the attempt merely hands over what came of it.
//!
//! socat opens in the directions that the command line uses: with `-u`, with `-U`, and on the two
//! sides of `!!`, an endpoint is only read from or only written to. That is a [`Way`]. An endpoint
//! that has just one direction still gives two descriptors, because a link has two lanes; the other
//! one is /dev/null, so that nothing is read from where nothing was asked.

mod adjustments;
pub(crate) mod children;
mod entry;
pub(crate) mod exported;
mod file;
pub(crate) mod identity;
mod pipe;
pub(crate) mod program;
mod recipe;
mod stdio;
pub(crate) mod terminal;
mod waiting;
mod words;

use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{fcntl, FcntlArg, OFlag};
use nix::sys::stat::{fstat, SFlag};
use nsplice_relay::{Attempt, Hold, OpenClass, OpenError, Opener, Progress, Upstream, Wake};
use nsplice_sys::describe;

use super::Context;
use crate::fault::Fault;
use crate::language::{Address, Keyword, Opt, Setting};

/// The directions in which an endpoint is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Read from and written to.
    Both,
    /// Only read from.
    Read,
    /// Only written to.
    Write,
}

impl Way {
    /// Returns how socat's messages put it.
    pub(crate) fn purpose(self) -> &'static str {
        match self {
            Self::Both => "reading and writing",
            Self::Read => "reading",
            Self::Write => "writing",
        }
    }
}

/// The opener of an endpoint on this machine.
pub(crate) fn opener(
    address: &Address,
    way: Way,
    context: &Context,
) -> Result<Box<dyn Opener>, Fault> {
    match address.setting(Opt::ControllingTty) {
        Some(Setting { word, .. })
            if !matches!(address.keyword, Keyword::Exec | Keyword::System) =>
        {
            return Err(Fault::not_implemented(format_args!(
                "option \"{word}\" with address type \"{}\"",
                address.word
            )));
        }
        _ => {}
    }
    match address.keyword {
        Keyword::Stdio | Keyword::Stdin | Keyword::Stdout | Keyword::Stderr | Keyword::Fd => {
            stdio::opener(address, way, context)
        }
        Keyword::Gopen | Keyword::Open | Keyword::Create => file::opener(address, way, context),
        Keyword::Pipe => pipe::opener(address, way, context),
        Keyword::Exec | Keyword::System => program::opener(address, way, context),
        _ => Err(Fault::not_implemented(format_args!("address type \"{}\"", address.word))),
    }
}

/// Refuses what changes a process, for an address that is opened by the one that serves all links.
pub(crate) fn without_process(address: &Address) -> Result<(), Fault> {
    let changes = [
        Opt::Su,
        Opt::SuDelayed,
        Opt::SetUid,
        Opt::SetGid,
        Opt::SetSid,
        Opt::Chroot,
        Opt::ControllingTty,
    ];
    match address.options.iter().find(|setting| changes.contains(&setting.option)) {
        Some(Setting { word, .. }) => Err(Fault::not_implemented(format_args!(
            "option \"{word}\" with address type \"{}\"",
            address.word
        ))),
        None => Ok(()),
    }
}

/// An attempt that has come to its end.
pub(super) fn answered(result: Result<Upstream, OpenError>) -> Box<dyn Attempt> {
    Box::new(Answered(Some(result)))
}

#[derive(Debug)]
struct Answered(Option<Result<Upstream, OpenError>>);

impl Attempt for Answered {
    fn advance(&mut self, _wake: Wake) -> Progress {
        match self.0.take() {
            Some(Ok(upstream)) => Progress::Open(upstream),
            Some(Err(error)) => Progress::Failed(error),
            None => Progress::Pending,
        }
    }

    fn source(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

/// What the kernel answered to `call`, which is told as socat tells it.
fn refused(call: impl fmt::Display, errno: Errno) -> OpenError {
    OpenError::new(OpenClass::of_errno(errno), format!("{call}: {}", strerror(errno)))
}

/// The same for what the standard library was asked.
fn failed(call: impl fmt::Display, error: &io::Error) -> OpenError {
    match error.raw_os_error() {
        Some(code) => refused(call, Errno::from_raw(code)),
        None => OpenError::new(OpenClass::Other, format!("{call}: {error}")),
    }
}

/// The system's words for an error.
fn strerror(errno: Errno) -> String {
    describe(&errno.into())
}

/// `upstream` with what lives as long as its link, if there is anything.
fn held(upstream: Upstream, hold: Option<Box<dyn Hold>>) -> Upstream {
    match hold {
        Some(hold) => Upstream::Held { upstream: Box::new(upstream), hold },
        None => upstream,
    }
}

/// Makes a side of `source` and `sink`, in the directions that are used.
pub(super) fn pair(
    source: BorrowedFd<'_>,
    sink: BorrowedFd<'_>,
    way: Way,
) -> Result<Upstream, OpenError> {
    let (source, sink) = match way {
        Way::Both => (copy(source)?, copy(sink)?),
        Way::Read => (copy(source)?, nothing()?),
        Way::Write => (nothing()?, copy(sink)?),
    };
    Ok(Upstream::Pair { source, sink })
}

/// Makes sure that `descriptor`, which is told as `number`, serves the one direction that is asked of
/// it. Used both ways it has the directions that it has; and a pipe is never ready for the other one,
/// so that socat waits for it as long as it is let.
fn check(descriptor: BorrowedFd<'_>, number: RawFd, way: Way) -> Result<(), OpenError> {
    let (call, missing) = match way {
        Way::Both => return Ok(()),
        Way::Read => ("read", OFlag::O_WRONLY),
        Way::Write => ("write", OFlag::O_RDONLY),
    };
    let call = || format!("{call}({number}, 0x0, {BLOCK})");
    let flags = fcntl(descriptor, FcntlArg::F_GETFL).map_err(|errno| refused(call(), errno))?;
    if OFlag::from_bits_retain(flags) & OFlag::O_ACCMODE != missing {
        return Ok(());
    }
    let mode = fstat(descriptor).map_err(|errno| refused(call(), errno))?.st_mode;
    if SFlag::from_bits_truncate(mode) & SFlag::S_IFMT == SFlag::S_IFIFO {
        return Ok(());
    }
    Err(refused(call(), Errno::EBADF))
}

/// What socat reads or writes at once.
const BLOCK: usize = 8192;

/// Another descriptor for the same thing, close-on-exec.
pub(super) fn copy(descriptor: BorrowedFd<'_>) -> Result<OwnedFd, OpenError> {
    descriptor.try_clone_to_owned().map_err(|error| {
        failed(format_args!("fcntl({}, F_DUPFD_CLOEXEC, 3)", descriptor.as_raw_fd()), &error)
    })
}

/// What stands in for the end that an endpoint does not have.
fn nothing() -> Result<OwnedFd, OpenError> {
    File::options()
        .read(true)
        .write(true)
        .open("/dev/null")
        .map(OwnedFd::from)
        .map_err(|error| failed("open(\"/dev/null\")", &error))
}

#[cfg(test)]
mod tests;
