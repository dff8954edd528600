//! The readiness of a side of a link, as far as we know.
//!
//! mio registers edge-triggered: the kernel reports a change once. So a bit is set by an event and
//! cleared only by the system call that finds the opposite (EAGAIN, a short read, a short write).
//! A bit that is wrongly set costs one system call; one that is wrongly clear would be a lost
//! wake-up, so nothing else ever clears one.

use mio::event::Event;

use crate::open::Wake;

/// A report of a source of events: a descriptor by way of epoll(7), or a stream of a session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Ready {
    /// There is something to read.
    pub(crate) readable: bool,
    /// There is room for bytes.
    pub(crate) writable: bool,
    /// The end is behind what there is to read.
    pub(crate) closed: bool,
    /// There is an error to collect.
    pub(crate) error: bool,
    /// Urgent data is among what there is to read.
    pub(crate) urgent: bool,
}

impl From<&Event> for Ready {
    fn from(event: &Event) -> Self {
        Self {
            readable: event.is_readable(),
            writable: event.is_writable(),
            closed: event.is_read_closed(),
            error: event.is_error(),
            urgent: event.is_priority(),
        }
    }
}

impl Ready {
    const NOTHING: Self =
        Self { readable: false, writable: false, closed: false, error: false, urgent: false };

    /// Bytes have come.
    pub(crate) const BYTES: Self = Self { readable: true, ..Self::NOTHING };

    /// There is room again.
    pub(crate) const ROOM: Self = Self { writable: true, ..Self::NOTHING };

    /// The end has come.
    pub(crate) const END: Self = Self { readable: true, closed: true, ..Self::NOTHING };

    /// An abort has come.
    pub(crate) const ABORT: Self = Self { readable: true, error: true, ..Self::NOTHING };

    /// What an attempt is told of its source: it does not tell bytes from their end.
    pub(crate) fn add_to(self, wake: &mut Wake) {
        wake.readable |= self.readable || self.closed;
        wake.writable |= self.writable;
        wake.error |= self.error;
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

    /// A stream that has become connected with this event.
    pub(crate) fn of_wake(wake: Wake) -> Self {
        let mut ready = Self::of_connected();
        // A wake does not tell bytes from what may be behind them, so there may be both.
        if wake.readable || wake.error {
            ready.set_readable(true);
            ready.set_something_behind();
        }
        ready.set(Self::ERROR, wake.error);
        ready
    }

    /// Takes in what was reported of the end that bytes come from.
    pub(crate) fn note_source(&mut self, ready: Ready) {
        if ready.readable || ready.closed || ready.error {
            self.0 |= Self::READABLE;
        }
        if ready.closed || ready.error || ready.urgent {
            self.set_something_behind();
        }
    }

    /// Takes in what was reported of the end that bytes go to.
    pub(crate) fn note_sink(&mut self, ready: Ready) {
        if ready.writable || ready.error {
            self.0 |= Self::WRITABLE;
        }
        // EPOLLERR on a socket: an RST has come. On a pipe: its reader is gone.
        if ready.error {
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
