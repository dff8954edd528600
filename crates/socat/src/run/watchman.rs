//! Signals while a loop carries links: what ends it, and what becomes of its links then.
//!
//! socat has a process for each connection, and they live on when the listening one is ended; here the
//! process splits, the parent exits with the signal's status at once, and the child carries the links
//! that are left to their ends.

use std::mem::take;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nsplice_relay::{EventSource, Hold, Need, SourceTurn, Wake};
use nsplice_sys::{Branch, Pool};

use crate::endpoint::{children, terminal};
use crate::journal::{Journal, Level};

use super::departures::{Departures, Whose};
use super::nursery::end_links;
use super::signals::{self, Demand, Signals};

/// The signal that ended the loop, shared between the loop's source and whoever ran it.
#[derive(Debug, Clone, Default)]
pub(super) struct Ending(Arc<AtomicI32>);

impl Ending {
    fn set(&self, signal: Signal) {
        self.0.store(signal as i32, Ordering::Relaxed);
    }

    /// The signal, if there was one.
    pub(super) fn signal(&self) -> Option<Signal> {
        Signal::try_from(self.0.load(Ordering::Relaxed)).ok()
    }
}

/// Looks after the signals of a loop.
#[derive(Debug)]
pub(super) struct Watchman {
    signals: Signals,
    journal: Journal,
    ending: Ending,
    /// What is cleaned up when the listener is gone, and never by a process that only drains.
    leftovers: Vec<Box<dyn Hold>>,
    /// The threads that go along where links live on after a signal, in a child; `None` where they end
    /// with it.
    survives: Option<Pool>,
    departures: Departures,
}

impl EventSource for Watchman {
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.signals.as_fd())
    }

    fn wake(&mut self, _: Wake, turn: &mut SourceTurn<'_>) -> Need {
        while let Some(demand) = self.signals.next(&self.journal) {
            match demand {
                Demand::Statistics => turn.report(),
                Demand::Exit { signal, from_terminal } => {
                    self.exit(signal, from_terminal, turn);
                    return Need::Over;
                }
            }
        }
        // A child may have ended.
        end_links(turn);
        self.departures.note(turn.now());
        Need::Wait
    }

    fn deadline(&self) -> Option<Instant> {
        self.departures.next()
    }

    fn expire(&mut self, turn: &mut SourceTurn<'_>) -> Need {
        self.departures.end_links(turn);
        Need::Wait
    }
}

impl Watchman {
    /// For a loop with one link, which ends with the first signal, and has `linger` when its child ends.
    pub(super) fn of_one(
        signals: Signals,
        journal: Journal,
        ending: Ending,
        linger: Duration,
    ) -> Self {
        let departures = Departures::new(linger, Whose::OnlyLink);
        Self { signals, journal, ending, leftovers: Vec::new(), survives: None, departures }
    }

    /// For a loop with many links, which live on in a child, with the threads of `pool`, when a signal
    /// ends the loop; `leftovers` go at once then. Each has `linger` when its child ends.
    pub(super) fn of_many(
        signals: Signals,
        journal: Journal,
        ending: Ending,
        leftovers: Vec<Box<dyn Hold>>,
        pool: Pool,
        linger: Duration,
    ) -> Self {
        let departures = Departures::new(linger, Whose::EachLink);
        Self { signals, journal, ending, leftovers, survives: Some(pool), departures }
    }

    /// Ends the loop because of a signal.
    fn exit(&mut self, signal: Signal, from_terminal: bool, turn: &mut SourceTurn<'_>) {
        self.ending.set(signal);
        children::pass_on(signal);
        // Ctrl-C reaches every process of socat's group, and so ends them all.
        let Some(pool) = self.survives.clone().filter(|_| !from_terminal) else {
            return turn.stop();
        };
        let (leftovers, journal) = (take(&mut self.leftovers), self.journal.clone());
        turn.drain_then(move |links| leave(signal, links, leftovers, &journal, &pool));
    }
}

/// Leaves the links that are alive to a child, and exits.
fn leave(
    signal: Signal,
    links: usize,
    leftovers: Vec<Box<dyn Hold>>,
    journal: &Journal,
    pool: &Pool,
) {
    if links == 0 {
        return;
    }
    match journal.held(|| pool.fork()) {
        Ok(Branch::Parent { .. }) => {
            drop(leftovers);
            terminal::restore_all();
            journal.finish();
            exit_without_closing(signals::status(signal));
        }
        Ok(Branch::Child) => {
            // Its files are the parent's to remove.
            std::mem::forget(leftovers);
            signals::release();
        }
        Err(error) => {
            journal.tell(Level::Error, format_args!("fork(): {error}"));
            // Nobody waits for them any more, and the links may take their time.
            signals::release();
        }
    }
}

/// Exits, and leaves every socket as it is: they are the child's now, and closing a link properly
/// would shut them down.
#[allow(clippy::exit)]
fn exit_without_closing(status: u8) -> ! {
    std::process::exit(status.into())
}
