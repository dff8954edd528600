//! An attempt taken to its end without a loop, by poll(2).
//!
//! For whoever opens one upstream and waits for it: before there is a loop, or to see whether it can
//! be opened. poll(2) is level-triggered where the loop's epoll(7) is edge-triggered; an attempt
//! behaves alike under both.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};

use super::{Attempt, OpenError, Progress, Upstream, Wake};

/// End of a driven attempt.
#[derive(Debug)]
pub enum Driven {
    /// The upstream is open.
    Open(Upstream),
    /// It cannot be opened.
    Failed(OpenError),
    /// The deadline came first. What was met with until then [`Attempt::so_far`] tells.
    TimedOut,
    /// [`Extra::stops`] said so.
    Stopped,
}

/// Something else to heed while an attempt is waited for: signals, say.
pub struct Extra<'a> {
    /// Readable when it wants to be looked at.
    pub source: BorrowedFd<'a>,
    /// Looks at it, before each wait; true ends the driving.
    pub stops: &'a mut dyn FnMut() -> bool,
}

impl std::fmt::Debug for Extra<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Extra").field("source", &self.source).finish_non_exhaustive()
    }
}

/// Takes `attempt`, which has not begun, to its end, to `deadline` or to where `extra` stops it. Blocks.
pub fn drive(
    attempt: &mut dyn Attempt,
    deadline: Option<Instant>,
    mut extra: Option<Extra<'_>>,
) -> Driven {
    let mut wake = Wake::START;
    loop {
        match attempt.advance(wake) {
            Progress::Open(upstream) => return Driven::Open(upstream),
            Progress::Failed(error) => return Driven::Failed(error),
            // Whoever drives by hand lets everybody in.
            Progress::Found(_) => {
                wake = Wake::START;
                continue;
            }
            Progress::Waiting | Progress::Pending => {}
        }
        wake = loop {
            if extra.as_mut().is_some_and(|extra| (extra.stops)()) {
                return Driven::Stopped;
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            match wait(attempt.source(), extra.as_ref().map(|extra| extra.source), left) {
                Ok(Some(seen)) => break seen,
                Ok(None) if left.is_some_and(|left| left.is_zero()) => return Driven::TimedOut,
                Ok(None) => {}
                Err(error) => {
                    return Driven::Failed(OpenError::from_io("cannot wait for an opening", &error))
                }
            }
        };
    }
}

/// Waits once: what `source` has reported, or `None` if that is nothing.
fn wait(
    source: Option<BorrowedFd<'_>>,
    extra: Option<BorrowedFd<'_>>,
    left: Option<Duration>,
) -> io::Result<Option<Wake>> {
    if source.is_none() && extra.is_none() && left.is_none() {
        return Err(io::Error::other("it waits for nothing"));
    }
    let both = PollFlags::POLLIN | PollFlags::POLLOUT;
    let mut watched: Vec<PollFd<'_>> = source
        .map(|source| PollFd::new(source, both))
        .into_iter()
        .chain(extra.map(|extra| PollFd::new(extra, PollFlags::POLLIN)))
        .collect();
    // The last part of a millisecond is waited for as well.
    let rounded_up = |left: Duration| PollTimeout::try_from(left.saturating_add(FRACTION));
    let timeout = left.map_or(Ok(PollTimeout::NONE), rounded_up).unwrap_or(PollTimeout::MAX);
    match poll(&mut watched, timeout) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(errno) => return Err(errno.into()),
    }
    let seen = source.and_then(|_| watched.first()).and_then(PollFd::revents);
    Ok(seen.filter(|seen| !seen.is_empty()).map(Wake::from))
}

/// poll(2) counts in milliseconds.
const FRACTION: Duration = Duration::from_micros(999);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::open::OpenClass;
    use std::os::fd::{AsFd, OwnedFd};

    use nix::unistd::{pipe, write};

    /// Is open when its source can be read.
    #[derive(Debug)]
    struct Waits(Option<OwnedFd>);

    impl Attempt for Waits {
        fn advance(&mut self, wake: Wake) -> Progress {
            match wake {
                Wake::START => Progress::Waiting,
                Wake { readable: true, .. } => self
                    .0
                    .take()
                    .map_or(Progress::Pending, |end| Progress::Open(Upstream::Stream(end))),
                _ => Progress::Pending,
            }
        }

        fn source(&self) -> Option<BorrowedFd<'_>> {
            self.0.as_ref().map(AsFd::as_fd)
        }
    }

    #[test]
    fn an_attempt_is_driven_by_its_source() {
        let (source, sink) = pipe().unwrap();
        write(&sink, b"!").unwrap();
        let mut attempt = Waits(Some(source));
        assert!(matches!(drive(&mut attempt, None, None), Driven::Open(Upstream::Stream(_))));
    }

    #[test]
    fn the_deadline_ends_it() {
        let (source, _sink) = pipe().unwrap();
        let mut attempt = Waits(Some(source));
        let deadline = Instant::now() + Duration::from_millis(20);
        assert!(matches!(drive(&mut attempt, Some(deadline), None), Driven::TimedOut));
        assert!(Instant::now() >= deadline);
    }

    #[test]
    fn something_else_stops_it_when_it_has_been_looked_at() {
        let (source, _sink) = pipe().unwrap();
        let (signals, raise) = pipe().unwrap();
        write(&raise, b"!").unwrap();
        let mut attempt = Waits(Some(source));
        let mut looks = 0;
        let mut stops = || {
            looks += 1;
            looks == 3
        };
        let extra = Extra { source: signals.as_fd(), stops: &mut stops };
        assert!(matches!(drive(&mut attempt, None, Some(extra)), Driven::Stopped));
        assert_eq!(looks, 3);
    }

    #[test]
    fn whoever_waits_for_nothing_has_failed() {
        let driven = drive(&mut Waits(None), None, None);
        let Driven::Failed(error) = driven else { panic!("{driven:?}") };
        assert_eq!(error.class, OpenClass::Other);
    }
}
