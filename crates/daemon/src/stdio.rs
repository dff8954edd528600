//! Standard input and output as the downstream of a link.
//!
//! They may be pipes, sockets, files, terminals or /dev/null, the same or two, and they are not
//! ours alone: O_NONBLOCK belongs to the open file description (open(2)), so setting it here would
//! set it for the shell and every program that holds the same terminal or pipe. Therefore:
//!
//! - pipes and terminals are opened anew through `/proc/self/fd/N`, which gives a description of
//!   our own, non-blocking from the start. Where that is denied (the pipe of another user, no
//!   /proc) the descriptor is duplicated as it is, and the relay treats it with care;
//! - sockets cannot be opened anew, and need not: send and recv take MSG_DONTWAIT;
//! - regular files and other devices are duplicated as they are, so that the offset stays shared
//!   and O_APPEND stays in force, and because opening some devices does something. They do not
//!   block for long, or there is nothing to be done about it.
//!
//! A socket that is both input and output is one downstream with two directions, where the end of
//! one is shutdown(2) and not close(2).
//!
//! Afterwards descriptors 0 and 1 lead to /dev/null: closing the sink has to be the end for
//! whoever reads our standard output, which takes all copies of it being gone.
//!
//! Descriptors that were closed when the program was started are /dev/null by the time main runs:
//! Rust's runtime opens them, so that no file is ever taken for standard output. A closed standard
//! input is thus at its end at once, and what goes to a closed standard output is gone.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{fcntl, open, FcntlArg, OFlag};
use nix::libc;
use nix::sys::stat::{fstat, major, minor, FileStat, Mode, SFlag};
use nix::unistd::{dup2_stdin, dup2_stdout, isatty};
use nsplice_relay::Downstream;
use nsplice_sys::describe;

/// An error that keeps standard input or output from being used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StdioError {
    /// It is open, but not in the direction that is needed.
    #[error("{stream} is not open for {purpose}")]
    WrongWay {
        /// Which of the two.
        stream: &'static str,
        /// Reading or writing.
        purpose: &'static str,
    },
    /// The system refused something.
    #[error("cannot {what} {stream}: {}", describe(source))]
    System {
        /// The attempt that failed.
        what: &'static str,
        /// With which of the two.
        stream: &'static str,
        /// The system's answer.
        source: io::Error,
    },
}

/// Takes standard input and output away from the process and makes a downstream of them.
pub(crate) fn take() -> Result<Downstream, StdioError> {
    let (stdin, stdout) = (io::stdin(), io::stdout());
    let downstream = downstream_of(stdin.as_fd(), stdout.as_fd())?;
    let system = |what, stream| move |source| StdioError::System { what, stream, source };
    let null = File::options()
        .read(true)
        .write(true)
        .open("/dev/null")
        .map_err(system("open /dev/null in place of", IN.name))?;
    dup2_stdin(&null).map_err(|errno| system("detach from", IN.name)(errno.into()))?;
    dup2_stdout(&null).map_err(|errno| system("detach from", OUT.name)(errno.into()))?;
    Ok(downstream)
}

/// One of the two streams, and what it is for.
#[derive(Debug, Clone, Copy)]
struct Way {
    name: &'static str,
    purpose: &'static str,
    access: OFlag,
}

const IN: Way = Way { name: "standard input", purpose: "reading", access: OFlag::O_RDONLY };
const OUT: Way = Way { name: "standard output", purpose: "writing", access: OFlag::O_WRONLY };

fn downstream_of(stdin: BorrowedFd<'_>, stdout: BorrowedFd<'_>) -> Result<Downstream, StdioError> {
    let source = IN.check(stdin)?;
    let sink = OUT.check(stdout)?;
    let is_socket =
        SFlag::from_bits_truncate(source.st_mode & SFlag::S_IFMT.bits()) == SFlag::S_IFSOCK;
    if is_socket && source.st_dev == sink.st_dev && source.st_ino == sink.st_ino {
        return Ok(Downstream::Socket(IN.duplicate(stdin)?));
    }
    Ok(Downstream::Pair { source: IN.own(stdin, &source)?, sink: OUT.own(stdout, &sink)? })
}

impl Way {
    /// Looks at `fd` and makes sure that it is open in this direction.
    fn check(self, fd: BorrowedFd<'_>) -> Result<FileStat, StdioError> {
        let flags = fcntl(fd, FcntlArg::F_GETFL).map_err(|errno| self.error("use", errno))?;
        let access = OFlag::from_bits_retain(flags) & OFlag::O_ACCMODE;
        if access != self.access && access != OFlag::O_RDWR {
            return Err(StdioError::WrongWay { stream: self.name, purpose: self.purpose });
        }
        fstat(fd).map_err(|errno| self.error("use", errno))
    }

    /// A descriptor of our own that leads where `fd` leads.
    fn own(self, fd: BorrowedFd<'_>, stat: &FileStat) -> Result<OwnedFd, StdioError> {
        if is_reopened(fd, stat) {
            // O_NOCTTY: opening a terminal must not make it ours.
            let flags = self.access | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC | OFlag::O_NOCTTY;
            let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
            if let Ok(own) = open(path.as_str(), flags, Mode::empty()) {
                return Ok(own);
            }
        }
        self.duplicate(fd)
    }

    /// A copy of `fd`, flags shared.
    fn duplicate(self, fd: BorrowedFd<'_>) -> Result<OwnedFd, StdioError> {
        fd.try_clone_to_owned().map_err(|source| StdioError::System {
            what: "duplicate",
            stream: self.name,
            source,
        })
    }

    fn error(self, what: &'static str, errno: Errno) -> StdioError {
        StdioError::System { what, stream: self.name, source: errno.into() }
    }
}

/// Returns whether opening `fd` anew gives the same thing with flags of our own: pipes and
/// terminals do, but not the master side of a pseudoterminal, where opening makes another one
/// (pts(4)).
fn is_reopened(fd: BorrowedFd<'_>, stat: &FileStat) -> bool {
    match SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits()) {
        SFlag::S_IFIFO => true,
        SFlag::S_IFCHR => is_terminal(fd) && !is_master(stat.st_rdev),
        _ => false,
    }
}

fn is_terminal(fd: BorrowedFd<'_>) -> bool {
    isatty(fd).unwrap_or(false)
}

/// The numbers of /dev/ptmx and of the masters of old (Documentation/admin-guide/devices.txt).
fn is_master(device: libc::dev_t) -> bool {
    const BSD_MASTERS: u64 = 2;
    const UNIX98_MASTERS: std::ops::RangeInclusive<u64> = 128..=135;
    const PTMX: (u64, u64) = (5, 2);
    let number = major(device);
    (number, minor(device)) == PTMX || number == BSD_MASTERS || UNIX98_MASTERS.contains(&number)
}

#[cfg(test)]
#[path = "stdio/tests.rs"]
mod tests;
