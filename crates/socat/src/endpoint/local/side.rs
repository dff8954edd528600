//! The side of a link that an endpoint on this machine becomes: two descriptors, in the directions that
//! are used.

use std::fs::File;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{fcntl, FcntlArg, OFlag};
use nix::sys::stat::{fstat, SFlag};
use nsplice_relay::{Attempt, Hold, OpenError, Progress, Upstream, Wake};

use super::error::{failed, refused};

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

/// An attempt that has come to its end.
pub(crate) fn answered(result: Result<Upstream, OpenError>) -> Box<dyn Attempt> {
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

/// Adds to `upstream` what lives as long as its link, if there is anything.
pub(super) fn held(upstream: Upstream, hold: Option<Box<dyn Hold>>) -> Upstream {
    match hold {
        Some(hold) => Upstream::Held { upstream: Box::new(upstream), hold },
        None => upstream,
    }
}

/// Makes a side of `source` and `sink`, in the directions that are used.
pub(crate) fn pair(
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
pub(super) fn check(descriptor: BorrowedFd<'_>, number: RawFd, way: Way) -> Result<(), OpenError> {
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
pub(crate) fn copy(descriptor: BorrowedFd<'_>) -> Result<OwnedFd, OpenError> {
    descriptor.try_clone_to_owned().map_err(|error| {
        failed(format_args!("fcntl({}, F_DUPFD_CLOEXEC, 3)", descriptor.as_raw_fd()), &error)
    })
}

/// Opens what stands in for the end that an endpoint does not have.
pub(super) fn nothing() -> Result<OwnedFd, OpenError> {
    File::options()
        .read(true)
        .write(true)
        .open("/dev/null")
        .map(OwnedFd::from)
        .map_err(|error| failed("open(\"/dev/null\")", &error))
}
