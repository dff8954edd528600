//! Opening an address before there is a loop: its attempt is driven to its end here.
//!
//! A listening address waits for its client this way, for as long as it takes, and a signal that
//! arrives meanwhile ends it: dropping the attempt cleans up after it.

use std::os::fd::AsFd;

use nix::sys::signal::Signal;
use nsplice_relay::open::{drive, Driven, Extra};
use nsplice_relay::{OpenClass, OpenError, Opener, Upstream};

use crate::journal::Journal;

use super::signals::{Demand, Signals};

/// The end of an opening.
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
    let Some((signals, journal)) = signals else {
        return told(drive(attempt.as_mut(), None, None), None);
    };
    let mut exit = None;
    let mut stops = || {
        if let Some(Demand::Exit { signal, .. }) = signals.next(journal) {
            exit = Some(signal);
        }
        exit.is_some()
    };
    let extra = Extra { source: signals.as_fd(), stops: &mut stops };
    let driven = drive(attempt.as_mut(), None, Some(extra));
    told(driven, exit)
}

fn told(driven: Driven, exit: Option<Signal>) -> Opened {
    match (driven, exit) {
        (Driven::Open(upstream), _) => Opened::Open(upstream),
        (Driven::Failed(error), _) => Opened::Failed(error),
        (Driven::Stopped | Driven::TimedOut, Some(signal)) => Opened::Interrupted(signal),
        // Only a signal stops it, and it has all the time it takes.
        (Driven::Stopped | Driven::TimedOut, None) => {
            Opened::Failed(OpenError::new(OpenClass::Other, "an opening was given up"))
        }
    }
}
