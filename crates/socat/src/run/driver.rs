//! Opening an address before there is a loop: its attempt is driven to its end here.
//!
//! A listening address waits for its client this way, for as long as it takes, and a signal that
//! arrives meanwhile ends it: dropping the attempt cleans up after it.

use std::os::fd::AsFd;

use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::signal::Signal;
use nsplice_relay::{OpenError, Opener, Progress, Upstream, Wake};

use crate::journal::Journal;

use super::signals::{Demand, Signals};

/// How an opening ended.
#[derive(Debug)]
pub(super) enum Opened {
    /// It is open.
    Open(Upstream),
    /// It failed.
    Failed(OpenError),
    /// A signal came first.
    Interrupted(Signal),
}

/// Opens once with `opener`. A signal that arrives at `signals` meanwhile is told to the journal.
pub(super) fn open(opener: &mut dyn Opener, signals: Option<(&Signals, &Journal)>) -> Opened {
    let mut attempt = opener.open(None);
    let mut wake = Wake::START;
    loop {
        match attempt.advance(wake) {
            Progress::Open(upstream) => return Opened::Open(upstream),
            Progress::Failed(error) => return Opened::Failed(error),
            Progress::Found(_) => {
                wake = Wake::START;
                continue;
            }
            Progress::Waiting | Progress::Pending => {}
        }
        wake = loop {
            let demand = signals.and_then(|(signals, journal)| signals.next(journal));
            if let Some(Demand::Exit { signal, .. }) = demand {
                return Opened::Interrupted(signal);
            }
            let both = PollFlags::POLLIN | PollFlags::POLLOUT;
            let waits = attempt.source().map(|source| PollFd::new(source, both));
            let signals = signals.map(|(each, _)| PollFd::new(each.as_fd(), PollFlags::POLLIN));
            let mut sources: Vec<PollFd<'_>> = waits.into_iter().chain(signals).collect();
            // An interruption is no event; the next round looks again.
            let _ = poll(&mut sources, PollTimeout::NONE);
            let seen = sources.first().and_then(PollFd::revents).unwrap_or(PollFlags::empty());
            if !seen.is_empty() {
                break seen.into();
            }
        };
    }
}
