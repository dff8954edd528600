//! The hinge between the relay and whatever opens upstreams.
//!
//! The relay knows nothing of namespaces, names or programs. It asks an [`Opener`] for an upstream,
//! gets an [`Attempt`], and drives it like any other source of events: it registers the descriptor
//! that the attempt names, edge-triggered and for both directions, and calls
//! [`Attempt::advance`] whenever that descriptor has something to say. The attempt ends as an
//! [`Upstream`] (a connected stream, or a pair of pipes with a child behind them) or as an
//! [`OpenError`], whose class tells the log, the counters and the tests what went wrong.
//!
//! Nothing behind this hinge may block: an attempt that needs to wait for a thread (a name look-up,
//! a query to a container runtime) waits for a descriptor that the thread makes readable.
//!
//! Dropping an attempt cancels it. Dropping a [`Child`] must neither leave a zombie nor an orphan.

use std::fmt;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nsplice_sys::describe;

use crate::labels::Found;
use crate::net::queues::Queues;
pub use crate::net::readiness::Wake;

mod drive;

pub use drive::{drive, Driven, Extra};

/// Opens the upstreams of one forward. It lives on the thread of one loop.
pub trait Opener: fmt::Debug + Send {
    /// The backend's name as the log and the counters print it: `setns`, `external`, `dial`.
    fn backend(&self) -> &'static str;

    /// Begins to open one upstream, for the client behind `downstream` where there is one (its
    /// addresses can be asked for). Failures are told by the attempt, at its first
    /// [`Attempt::advance`].
    fn open(&mut self, downstream: Option<BorrowedFd<'_>>) -> Box<dyn Attempt>;

    /// A burst begins: clients come so fast that upstreams will be opened one right after the other.
    /// The first has been accepted, others wait in the queue of `listener`; of all of these at most
    /// `most` will be served, but more are likely to follow. What they need alike can be made
    /// ready for several at once. Openings outside of bursts are the rule.
    fn begin_burst(&mut self, listener: BorrowedFd<'_>, most: usize) {
        let _ = (listener, most);
    }

    /// The burst is over, a few milliseconds after its last client or for want of descriptors:
    /// whatever was made ready and not used is not needed.
    fn end_burst(&mut self) {}

    /// Bytes that the queues of a link's socket can hold if they may be [`Queues::Ample`]; 0 where
    /// this does not size them.
    fn queues(&self) -> usize {
        0
    }
}

/// One upstream on its way to being open.
pub trait Attempt: fmt::Debug + Send {
    /// Goes as far as is possible without blocking.
    ///
    /// Called once with [`Wake::START`] and then for each event of the registered source.
    fn advance(&mut self, wake: Wake) -> Progress;

    /// Tells what it may take, before it begins.
    fn allow(&mut self, allowance: Allowance) {
        let _ = allowance;
    }

    /// Describes what was met so far, and what is waited for: asked when the time is over.
    fn so_far(&self) -> Option<String> {
        None
    }

    /// The descriptor to wait for. Asked for after [`Progress::Waiting`] only; it stays open and
    /// the same until the next `Waiting` or the end of the attempt.
    fn source(&self) -> Option<BorrowedFd<'_>>;
}

/// The time and the memory that an attempt may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// Time in all. Whoever tries several ways leaves time for each.
    pub time: Duration,
    /// Kernel memory for the queues of its sockets.
    pub queues: Queues,
}

/// Time until an upstream must be open, unless the forward says otherwise.
///
/// Long enough for three SYN retransmissions (1 s, 3 s, 7 s), short enough for a person to wait.
pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

impl Default for Allowance {
    fn default() -> Self {
        Self { time: DEFAULT_CONNECT_TIMEOUT, queues: Queues::Ample }
    }
}

/// The progress of an attempt.
#[derive(Debug)]
pub enum Progress {
    /// Nothing yet; the source that is registered already will report again.
    Pending,
    /// [`Attempt::source`] names a descriptor that is not registered yet: wait for that one.
    /// Whatever was registered before is closed.
    Waiting,
    /// A look-up has found out what the target is, and nothing has been opened in it yet. Told at most
    /// once. Who drives the attempt goes on with [`Wake::START`], or drops it.
    Found(Arc<Found>),
    /// The upstream is open.
    Open(Upstream),
    /// It cannot be opened.
    Failed(OpenError),
}

/// An open upstream.
#[derive(Debug)]
pub enum Upstream {
    /// A connected stream socket, non-blocking and close-on-exec.
    Stream(OwnedFd),
    /// Two descriptors: pipes, sockets, files or terminals. Closing the sink is its FIN.
    Pair {
        /// The descriptor that bytes come from.
        source: OwnedFd,
        /// The descriptor that bytes go to.
        sink: OwnedFd,
    },
    /// An upstream and something that must live as long as its link.
    Held {
        /// The upstream itself.
        upstream: Box<Self>,
        /// Dropped when the link has ended and both its sides are closed.
        hold: Box<dyn Hold>,
    },
    /// A child program that carries the connection on its standard input and output. Both
    /// descriptors are our ends of pipes, non-blocking and close-on-exec.
    Piped {
        /// The child's standard input; closing it is the FIN.
        input: OwnedFd,
        /// The child's standard output; its end is the FIN once the child's verdict is known.
        output: OwnedFd,
        /// The child itself.
        child: Box<dyn Child>,
    },
}

/// A resource that lives as long as a link: dropping it cleans up after the upstream.
pub trait Hold: fmt::Debug + Send {
    /// Returns whether the link is to end now. Asked when a source wants it
    /// ([`crate::SourceTurn::end_let_go`]).
    fn lets_go(&self) -> bool {
        false
    }
}

/// A program behind an upstream.
///
/// The relay reads its diagnostics while it runs, asks for its verdict when
/// [`Child::exit_source`] becomes readable, and ends it with `terminate` and, a moment later,
/// `kill` when the link is over and the child is not.
pub trait Child: fmt::Debug + Send {
    /// Becomes readable when the program has ended: a pidfd.
    fn exit_source(&self) -> BorrowedFd<'_>;

    /// Returns the source of the program's diagnostics (its standard error).
    fn diagnostics(&self) -> BorrowedFd<'_>;

    /// Reads what diagnostics are there, at most one bounded block, and keeps the tail of them.
    /// Returns false once there is nothing more to be had now.
    fn absorb_diagnostics(&mut self) -> bool;

    /// Collects the exit status and the last diagnostics if the program has ended (and so leaves
    /// no zombie), else `None`. Asked again, it answers the same.
    fn verdict(&mut self) -> Option<Verdict>;

    /// Bytes that wait in a queue to be read: of the pipe behind `end`, the program's input say, or
    /// of a socket (FIONREAD of pipe(7) and tcp(7)); 0 where that is not known. The relay makes no
    /// ioctl(2) itself.
    fn unread(&self, end: BorrowedFd<'_>) -> usize;

    /// Bytes that a TCP socket has been given and its peer has not acknowledged (SIOCOUTQ of
    /// tcp(7)), a FIN counting as one; 0 of other sockets, and where nobody will acknowledge them.
    fn unacknowledged(&self, socket: BorrowedFd<'_>) -> usize;

    /// Asks the program to end (SIGTERM).
    fn terminate(&mut self);

    /// Makes the program end (SIGKILL).
    fn kill(&mut self);
}

/// The way a child ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Exit status 0.
    Success,
    /// Anything else, with the class that its last words allow.
    Failure(OpenError),
}

/// The reason why an upstream could not be opened. Each is one word in logs and counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OpenClass {
    /// The target's port is closed (ECONNREFUSED, or a reset during the handshake).
    Refused,
    /// No answer within the time the kernel or the forward allows.
    TimedOut,
    /// No route to the address (ENETUNREACH, EHOSTUNREACH and their kin).
    Unreachable,
    /// The host name has no address.
    NameUnknown,
    /// The process, container or namespace does not exist, or no longer.
    TargetGone,
    /// The kernel or a policy does not let us (EPERM, EACCES).
    Denied,
    /// A program that the backend needs is not there.
    ToolMissing,
    /// The child program failed for a reason of its own.
    ChildFailed,
    /// This machine has run out of something: descriptors, ports, processes, memory.
    Exhausted,
    /// The service's admission does not let its clients reach this target.
    Forbidden,
    /// An upstream that waits to be connected to has waited in vain.
    NoClient,
    /// Anything else; the message has the system's words.
    Other,
}

impl OpenClass {
    /// Every class, in the order of the counters.
    pub const ALL: [Self; 12] = [
        Self::Refused,
        Self::TimedOut,
        Self::Unreachable,
        Self::NameUnknown,
        Self::TargetGone,
        Self::Denied,
        Self::ToolMissing,
        Self::ChildFailed,
        Self::Exhausted,
        Self::Forbidden,
        Self::NoClient,
        Self::Other,
    ];

    /// The word used in logs and counters.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::TimedOut => "timed-out",
            Self::Unreachable => "unreachable",
            Self::NameUnknown => "name-unknown",
            Self::TargetGone => "target-gone",
            Self::Denied => "denied",
            Self::ToolMissing => "tool-missing",
            Self::ChildFailed => "child-failed",
            Self::Exhausted => "exhausted",
            Self::Forbidden => "forbidden",
            Self::NoClient => "no-client",
            Self::Other => "other",
        }
    }

    /// The class of an errno that `socket`, `connect`, `setns`, `fork` or `open` gave.
    pub fn of_errno(errno: Errno) -> Self {
        match errno {
            Errno::ECONNREFUSED | Errno::ECONNRESET => Self::Refused,
            Errno::ETIMEDOUT => Self::TimedOut,
            // EINVAL is what a blackhole route gives (ip-route(8)).
            Errno::ENETUNREACH
            | Errno::EHOSTUNREACH
            | Errno::ENETDOWN
            | Errno::EHOSTDOWN
            | Errno::EINVAL => Self::Unreachable,
            Errno::EPERM | Errno::EACCES => Self::Denied,
            Errno::ESRCH | Errno::ENOENT => Self::TargetGone,
            Errno::EMFILE
            | Errno::ENFILE
            | Errno::ENOBUFS
            | Errno::ENOMEM
            | Errno::EAGAIN
            | Errno::EADDRNOTAVAIL => Self::Exhausted,
            _ => Self::Other,
        }
    }
}

impl fmt::Display for OpenClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An upstream that could not be opened: the class for machines, a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct OpenError {
    /// The kind of failure.
    pub class: OpenClass,
    /// A sentence: what was tried, on what, and what the system answered.
    pub detail: String,
}

impl OpenError {
    /// An error of `class` that says `detail`.
    pub fn new(class: OpenClass, detail: impl Into<String>) -> Self {
        Self { class, detail: detail.into() }
    }

    /// The error of a system call: `what` was tried and the kernel answered `error`.
    pub fn from_io(what: impl fmt::Display, error: &io::Error) -> Self {
        let class = error
            .raw_os_error()
            .map_or(OpenClass::Other, |code| OpenClass::of_errno(Errno::from_raw(code)));
        Self::new(class, format!("{what}: {}", describe(error)))
    }
}

#[cfg(test)]
pub(crate) mod testing {
    //! Openers for unit tests.

    use super::*;

    /// An opener whose attempts wait for ever.
    pub(crate) fn never() -> Box<dyn Opener> {
        Box::new(Never)
    }

    #[derive(Debug)]
    struct Never;

    impl Opener for Never {
        fn backend(&self) -> &'static str {
            "never"
        }

        fn open(&mut self, _: Option<BorrowedFd<'_>>) -> Box<dyn Attempt> {
            Box::new(Self)
        }
    }

    impl Attempt for Never {
        fn advance(&mut self, _: Wake) -> Progress {
            Progress::Waiting
        }

        fn source(&self) -> Option<BorrowedFd<'_>> {
            None
        }
    }
}
