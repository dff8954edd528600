//! Waiting for a moment, or for a descriptor and a moment at once, as the relay can: by one
//! descriptor that reports.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

/// A moment in the future; readable when it has come.
#[derive(Debug)]
pub(crate) struct Timer(TimerFd);

impl Timer {
    /// The moment `time` from now.
    pub(crate) fn after(time: Duration) -> nix::Result<Self> {
        let timer = Self::new()?;
        timer.set(time)?;
        Ok(timer)
    }

    /// A moment that does not come until it is set.
    pub(crate) fn new() -> nix::Result<Self> {
        let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
        TimerFd::new(ClockId::CLOCK_MONOTONIC, flags).map(Self)
    }

    /// Makes it the moment `time` from now.
    pub(crate) fn set(&self, time: Duration) -> nix::Result<()> {
        // Zero would switch it off.
        let time = TimeSpec::from_duration(time.max(Duration::from_nanos(1)));
        self.0.set(Expiration::OneShot(time), TimerSetTimeFlags::empty())
    }

    /// Whether it has come.
    pub(crate) fn is_over(&self) -> bool {
        let mut watched = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        matches!(poll(&mut watched, PollTimeout::ZERO), Ok(1..))
    }
}

impl AsFd for Timer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// What a descriptor is given to do something, if there is a limit: readable when either has
/// something to say.
#[derive(Debug)]
pub(crate) struct Limit {
    timer: Timer,
    either: Epoll,
}

impl Limit {
    /// Gives `descriptor` this much time to be ready for any of `events`.
    pub(crate) fn set(
        descriptor: impl AsFd,
        events: EpollFlags,
        time: Duration,
    ) -> nix::Result<Self> {
        let timer = Timer::after(time)?;
        let either = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        either.add(descriptor, EpollEvent::new(events, 0))?;
        either.add(&timer, EpollEvent::new(EpollFlags::EPOLLIN, 1))?;
        Ok(Self { timer, either })
    }

    /// Whether the time is over.
    pub(crate) fn is_over(&self) -> bool {
        self.timer.is_over()
    }
}

impl AsFd for Limit {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.either.0.as_fd()
    }
}
