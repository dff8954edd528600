//! One real connect, driven outside of a loop.
//!
//! The opener and the attempt are the very ones that a relay would use; only the waiting is done by
//! poll(2), which is level-triggered where the relay's epoll is edge-triggered. What is opened is
//! closed at once.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nsplice_relay::{
    Child, OpenClass, OpenError, Opener, Progress, Upstream, Verdict, Wake, DEFAULT_CONNECT_TIMEOUT,
};

use crate::process::wait_readable;

/// A connect that went well.
#[derive(Debug)]
pub(crate) struct Connected {
    /// Until the upstream was open.
    pub(crate) time: Duration,
    /// Whether it is a child that connects, so that the time is only that of its start.
    pub(crate) by_child: bool,
}

/// Connects through `opener`.
pub(crate) fn connect(opener: &mut dyn Opener) -> Result<Connected, OpenError> {
    let begun = Instant::now();
    let mut attempt = opener.open(None);
    let mut wake = Wake::START;
    loop {
        match attempt.advance(wake) {
            Progress::Open(upstream) => {
                let time = begun.elapsed();
                return match upstream {
                    Upstream::Stream(_) | Upstream::Pair { .. } | Upstream::Held { .. } => {
                        Ok(Connected { time, by_child: false })
                    }
                    Upstream::Piped { input, output, child } => {
                        // Held open while the child is watched: the end of its input would end it.
                        let watched = outlive(child);
                        drop((input, output));
                        watched.map(|()| Connected { time, by_child: true })
                    }
                };
            }
            Progress::Failed(error) => return Err(error),
            Progress::Waiting | Progress::Pending => {}
        }
        let left = DEFAULT_CONNECT_TIMEOUT.saturating_sub(begun.elapsed());
        let heard = attempt.source().and_then(|source| wait(source, left));
        wake = heard.ok_or_else(|| {
            let seconds = DEFAULT_CONNECT_TIMEOUT.as_secs();
            let mut told = format!("no answer within {seconds} s");
            if let Some(so_far) = attempt.so_far() {
                told.push_str(&format!(": {so_far}"));
            }
            OpenError::new(OpenClass::TimedOut, told)
        })?;
    }
}

/// Waits until `source` reports something; `None` if the time is over first.
fn wait(source: BorrowedFd<'_>, left: Duration) -> Option<Wake> {
    let begun = Instant::now();
    let mut watched = [PollFd::new(source.as_fd(), PollFlags::POLLIN | PollFlags::POLLOUT)];
    loop {
        let left = left.saturating_sub(begun.elapsed());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let ready = poll(&mut watched, timeout).unwrap_or(0);
        let seen = watched.first().and_then(PollFd::revents).unwrap_or(PollFlags::empty());
        if ready > 0 {
            return Some(seen.into());
        }
        if left.is_zero() {
            return None;
        }
    }
}

/// A child says only by ending that it could not connect: one that lives has connected, or is
/// still trying.
fn outlive(mut child: Box<dyn Child>) -> Result<(), OpenError> {
    wait_readable(child.exit_source(), PollTimeout::from(CHILD_MILLIS));
    match child.verdict() {
        None | Some(Verdict::Success) => Ok(()),
        Some(Verdict::Failure(error)) => Err(error),
    }
}

/// Two execs and a refused connect take about 10 ms.
const CHILD_MILLIS: u16 = 300;
