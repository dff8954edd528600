//! Openings that are tried again: `retry=`, `forever`, `interval=`.
//!
//! A [`Route`] begins one opening. The opener begins one for each link, and again, after a while,
//! when it failed and the options say so; only the last failure is told as an error.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use nsplice_backend::Timer;
use nsplice_relay::{Attempt, OpenClass, OpenError, Opener, Progress, Wake};

use crate::journal::{Journal, Level};
use crate::language::{Address, Opt};

/// Something that can be opened any number of times.
pub(crate) trait Route: std::fmt::Debug + Send + Sync {
    /// Begins to open it.
    fn begin(self: Arc<Self>, turn: Turn) -> Box<dyn Attempt>;
}

/// The turn of an opening: the first one of its link, or a later one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It is the first.
    First,
    /// The ones before it failed. What has been announced is not announced again.
    Again,
}

/// The number of times that an opening which failed is tried again, and the time between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Patience {
    tries: Tries,
    interval: Duration,
}

/// What is left of somebody's patience.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tries {
    Left(u64),
    Endless,
}

/// Without `interval=`.
const INTERVAL: Duration = Duration::from_secs(1);

impl Patience {
    /// Reads what the options of `address` ask for.
    pub(crate) fn of(address: &Address) -> Self {
        let tries = if address.has(Opt::Forever) {
            Tries::Endless
        } else {
            let number = address.number(Opt::Retry).unwrap_or(0);
            Tries::Left(u64::try_from(number).unwrap_or(0))
        };
        Self { tries, interval: address.time(Opt::Interval).unwrap_or(INTERVAL) }
    }

    /// Returns whether there is none from the start.
    pub(crate) fn is_none(self) -> bool {
        self.tries == Tries::Left(0)
    }

    /// Takes one try: how long to wait for it, or `None` if there is none left.
    pub(crate) fn take(&mut self) -> Option<Duration> {
        match &mut self.tries {
            Tries::Left(0) => return None,
            Tries::Left(left) => *left -= 1,
            Tries::Endless => {}
        }
        Some(self.interval)
    }
}

/// Makes an opener of `route`, which is called `word` and is as patient as `address` says.
pub(crate) fn routed(
    word: &'static str,
    route: Arc<dyn Route>,
    address: &Address,
    journal: &Journal,
) -> Box<dyn Opener> {
    let (patience, journal) = (Patience::of(address), journal.clone());
    Box::new(Routed { word, route, patience, journal })
}

/// Opens a route for each link.
#[derive(Debug)]
struct Routed {
    word: &'static str,
    route: Arc<dyn Route>,
    patience: Patience,
    journal: Journal,
}

impl Opener for Routed {
    fn backend(&self) -> &'static str {
        self.word
    }

    fn open(&mut self, _downstream: Option<BorrowedFd<'_>>) -> Box<dyn Attempt> {
        let attempt = Arc::clone(&self.route).begin(Turn::First);
        if self.patience.is_none() {
            return attempt;
        }
        Box::new(Retrying {
            route: Arc::clone(&self.route),
            patience: self.patience,
            journal: self.journal.clone(),
            state: State::Trying(attempt),
        })
    }
}

/// An opening with patience.
#[derive(Debug)]
struct Retrying {
    route: Arc<dyn Route>,
    patience: Patience,
    journal: Journal,
    state: State,
}

#[derive(Debug)]
enum State {
    Trying(Box<dyn Attempt>),
    Pausing(Timer),
}

impl Retrying {
    fn after(&mut self, error: OpenError) -> Progress {
        if error.class == OpenClass::NoClient {
            // There is nothing wrong with the listener.
            return Progress::Failed(error);
        }
        let Some(pause) = self.patience.take() else {
            return Progress::Failed(error);
        };
        self.journal.tell(Level::Info, &error.detail);
        match Timer::after(pause) {
            Ok(timer) => {
                self.state = State::Pausing(timer);
                Progress::Waiting
            }
            Err(_) => Progress::Failed(error),
        }
    }
}

impl Attempt for Retrying {
    fn advance(&mut self, wake: Wake) -> Progress {
        let progress = match &mut self.state {
            State::Trying(attempt) => attempt.advance(wake),
            State::Pausing(timer) if !timer.is_over() => return Progress::Pending,
            State::Pausing(_) => {
                let mut attempt = Arc::clone(&self.route).begin(Turn::Again);
                let progress = attempt.advance(Wake::START);
                self.state = State::Trying(attempt);
                progress
            }
        };
        match progress {
            Progress::Failed(error) => self.after(error),
            other => other,
        }
    }

    fn source(&self) -> Option<BorrowedFd<'_>> {
        match &self.state {
            State::Trying(attempt) => attempt.source(),
            State::Pausing(timer) => Some(timer.as_fd()),
        }
    }
}
