//! Waiting for a moment, or for descriptors and a moment at once, as the relay can: by one descriptor
//! that reports.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

/// A moment in the future; readable when it has come.
#[derive(Debug)]
pub struct Timer(TimerFd);

impl Timer {
    /// The moment `time` from now.
    ///
    /// # Errors
    /// When there is no descriptor for it.
    pub fn after(time: Duration) -> nix::Result<Self> {
        let timer = Self::new()?;
        timer.set(time)?;
        Ok(timer)
    }

    /// A moment that does not come until it is set.
    ///
    /// # Errors
    /// When there is no descriptor for it.
    pub fn new() -> nix::Result<Self> {
        let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
        TimerFd::new(ClockId::CLOCK_MONOTONIC, flags).map(Self)
    }

    /// Makes it the moment `time` from now.
    ///
    /// # Errors
    /// None that a valid time has.
    pub fn set(&self, time: Duration) -> nix::Result<()> {
        // Zero would switch it off.
        let time = TimeSpec::from_duration(time.max(Duration::from_nanos(1)));
        self.0.set(Expiration::OneShot(time), TimerSetTimeFlags::empty())
    }

    /// Returns whether it has come.
    pub fn is_over(&self) -> bool {
        let mut watched = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        matches!(poll(&mut watched, PollTimeout::ZERO), Ok(1..))
    }
}

impl AsFd for Timer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A time limit for what descriptors do: readable when one of them, or the time, has something
/// to say.
#[derive(Debug)]
pub struct Limit {
    timer: Timer,
    either: Epoll,
}

impl Limit {
    /// Gives `descriptor` this much time to be ready for any of `events`.
    ///
    /// # Errors
    /// When there are no descriptors for it.
    pub fn set(descriptor: impl AsFd, events: EpollFlags, time: Duration) -> nix::Result<Self> {
        let timer = Timer::after(time)?;
        let either = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        either.add(&timer, EpollEvent::new(EpollFlags::EPOLLIN, 0))?;
        let limit = Self { timer, either };
        limit.watch(descriptor, events)?;
        Ok(limit)
    }

    /// Waits for `descriptor` as well, for as long as it is open.
    ///
    /// # Errors
    /// ENOMEM, or ENOSPC when the user waits for too many.
    pub fn watch(&self, descriptor: impl AsFd, events: EpollFlags) -> nix::Result<()> {
        self.either.add(descriptor, EpollEvent::new(events, 0))
    }

    /// Makes the time end `time` from now; without one, never.
    pub fn restart(&self, time: Option<Duration>) {
        // Both refuse no descriptor and no time that are valid.
        let _ = match time {
            Some(time) => self.timer.set(time),
            None => self.timer.0.unset(),
        };
    }

    /// Returns whether the time is over.
    pub fn is_over(&self) -> bool {
        self.timer.is_over()
    }
}

impl AsFd for Limit {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.either.0.as_fd()
    }
}
