//! The readiness of a side of a link, as far as we know.
//!
//! mio registers edge-triggered: the kernel reports a change once. So a bit is set by an event and
//! cleared only by the system call that finds the opposite (EAGAIN, a short read, a short write).
//! A bit that is wrongly set costs one system call; one that is wrongly clear would be a lost
//! wake-up, so nothing else ever clears one.

use mio::event::Event;
use nix::poll::PollFlags;

/// A report of a source of events: of a descriptor by way of epoll(7), or of a stream of a session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wake {
    /// There is something to read, or the end of it.
    pub readable: bool,
    /// There is room for bytes; a socket that was connecting is connected, unless `error` is set.
    pub writable: bool,
    /// The end is behind what there is to read.
    pub closed: bool,
    /// There is an error to collect (EPOLLERR).
    pub error: bool,
    /// Urgent data is among what there is to read.
    pub urgent: bool,
}

impl From<&Event> for Wake {
    fn from(event: &Event) -> Self {
        Self {
            readable: event.is_readable() || event.is_read_closed(),
            writable: event.is_writable(),
            closed: event.is_read_closed(),
            error: event.is_error(),
            urgent: event.is_priority(),
        }
    }
}

impl From<PollFlags> for Wake {
    /// Takes the report of poll(2), for whoever drives an attempt without a loop.
    fn from(seen: PollFlags) -> Self {
        let closed = seen.contains(PollFlags::POLLHUP);
        Self {
            readable: seen.contains(PollFlags::POLLIN) || closed,
            writable: seen.contains(PollFlags::POLLOUT),
            closed,
            error: seen.contains(PollFlags::POLLERR),
            urgent: seen.contains(PollFlags::POLLPRI),
        }
    }
}

impl Wake {
    /// No report: the first call, before anything was waited for, or one that was asked for.
    pub const START: Self =
        Self { readable: false, writable: false, closed: false, error: false, urgent: false };

    /// Bytes have come.
    pub(crate) const BYTES: Self = Self { readable: true, ..Self::START };

    /// There is room again.
    pub(crate) const ROOM: Self = Self { writable: true, ..Self::START };

    /// The end has come.
    pub(crate) const END: Self = Self { readable: true, closed: true, ..Self::START };

    /// An abort has come.
    pub(crate) const ABORT: Self = Self { readable: true, error: true, ..Self::START };

    /// Adds a later report.
    pub(crate) fn add(&mut self, later: Self) {
        self.readable |= later.readable;
        self.writable |= later.writable;
        self.closed |= later.closed;
        self.error |= later.error;
        self.urgent |= later.urgent;
    }
}

/// The readiness of one side of a link.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Readiness(u8);

impl Readiness {
    const READABLE: u8 = 1;
    const WRITABLE: u8 = 2;
    const BEHIND: u8 = 4;
    const ERROR: u8 = 8;

    /// A stream that has just been connected: the send queue is empty.
    pub(crate) fn of_connected() -> Self {
        Self(Self::WRITABLE)
    }

    /// A stream that has just been accepted. Most clients speak first and have spoken by now, so
    /// reading is tried without waiting to be told.
    pub(crate) fn of_accepted() -> Self {
        Self(Self::WRITABLE | Self::READABLE)
    }

    /// A stream that has become connected with this report: the server may have spoken by then.
    pub(crate) fn of_wake(wake: Wake) -> Self {
        let mut ready = Self::of_connected();
        ready.note_source(wake);
        ready.note_sink(wake);
        ready
    }

    /// Takes in what was reported of the end that bytes come from.
    pub(crate) fn note_source(&mut self, wake: Wake) {
        if wake.readable || wake.error {
            self.0 |= Self::READABLE;
        }
        if wake.closed || wake.error || wake.urgent {
            self.set_something_behind();
        }
    }

    /// Takes in what was reported of the end that bytes go to.
    pub(crate) fn note_sink(&mut self, wake: Wake) {
        if wake.writable || wake.error {
            self.0 |= Self::WRITABLE;
        }
        // EPOLLERR on a socket: an RST has come. On a pipe: its reader is gone.
        if wake.error {
            self.0 |= Self::ERROR;
        }
    }

    pub(crate) fn readable(self) -> bool {
        self.0 & Self::READABLE != 0
    }

    pub(crate) fn writable(self) -> bool {
        self.0 & Self::WRITABLE != 0
    }

    /// The kernel has announced something behind the bytes in the queue.
    pub(crate) fn something_behind(self) -> bool {
        self.0 & Self::BEHIND != 0
    }

    /// The kernel has announced that the sink takes nothing any more.
    pub(crate) fn error(self) -> bool {
        self.0 & Self::ERROR != 0
    }

    /// An error was met before the kernel has announced it.
    pub(crate) fn set_error(&mut self) {
        self.set(Self::ERROR, true);
    }

    pub(crate) fn set_readable(&mut self, readable: bool) {
        self.set(Self::READABLE, readable);
    }

    /// EPOLLRDHUP or EPOLLERR: the end is behind the bytes in the queue. EPOLLPRI: urgent data is
    /// among them, at which recv(2) stops once. Either way a short read is no sign of an empty
    /// queue; only EAGAIN is, from now on.
    pub(crate) fn set_something_behind(&mut self) {
        self.set(Self::BEHIND, true);
    }

    pub(crate) fn set_writable(&mut self, writable: bool) {
        self.set(Self::WRITABLE, writable);
    }

    fn set(&mut self, bit: u8, on: bool) {
        if on {
            self.0 |= bit;
        } else {
            self.0 &= !bit;
        }
    }
}
