//! Many links on one loop: `fork` without forking.
//!
//! A listening address accepts for ever; a connecting one is opened again and again. The other address
//! is opened for each link, unless it comes first on the command line: then it is opened once, before
//! anybody listens, and all links share it. What ends either is a signal. socat has a process for each connection, and they live on when the listening
//! one is ended; here the listener is closed, the process splits, the parent exits with the
//! signal's status at once, and the child carries the links that are left to their ends.

use std::mem::take;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;
use nsplice_relay::{
    Admission, Downstream, EventSource, Forward, Hold, Need, OpenClass, Opener, Places, SourceTurn,
    Wake,
};
use nsplice_sys::{Branch, Pool};

use crate::endpoint::{children, terminal, Post, Shared};
use crate::fault::Fault;
use crate::journal::{Journal, Level};
use crate::language::Opt;

use super::doorkeeper::Doorkeeper;
use super::driver::{self, Opened};
use super::manners;
use super::nursery::end_links;
use super::reconnector::Reconnector;
use super::signals::{self, Demand, Signals};
use super::{split, Job};

/// Time between two connections of an address that connects with `fork`.
const RECONNECT_INTERVAL: Duration = Duration::from_secs(1);

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
        Need::Wait
    }
}

impl Watchman {
    /// For a loop with one link, which ends with the first signal.
    pub(super) fn of_one(signals: Signals, journal: Journal, ending: Ending) -> Self {
        Self { signals, journal, ending, leftovers: Vec::new(), survives: None }
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

impl Job {
    /// Serves all clients of a listening address.
    pub(super) fn serve(self, post: Post, mut second: Box<dyn Opener>) -> Result<u8, Fault> {
        let Post { mut opener, max_children, admission, limit } = post;
        let signals = Some((&self.signals, &self.context.journal));
        let mut shared = Vec::new();
        if self.shares_second() {
            let opened = match driver::open(second.as_mut(), signals) {
                Opened::Open(upstream) => split(upstream),
                Opened::Failed(error) if error.class == OpenClass::NoClient => return Ok(0),
                Opened::Failed(error) => return Err(self.unopened(&self.line.second, error)),
                Opened::Interrupted(signal) => return Ok(signals::status(signal)),
            };
            second = Box::new(Shared::of(second.backend(), opened.0).map_err(Fault::new)?);
            shared = opened.1;
        }
        let (socket, mut holds) = match driver::open(opener.as_mut(), signals) {
            Opened::Open(upstream) => split(upstream),
            Opened::Failed(error) => return Err(self.unopened(&self.line.first, error)),
            Opened::Interrupted(signal) => return Ok(signals::status(signal)),
        };
        let Downstream::Socket(socket) = socket else {
            return Err(Fault::new("a listener is one socket"));
        };
        self.assume_identity()?;
        let places = max_children.map_or_else(Places::unlimited, Places::new);
        let admission = Some(Box::new(Doorkeeper::new(admission)) as Box<dyn Admission>);
        let forward = Forward { admission, ..self.forward(second, places) };
        let (mut relay, _handle) = self.relay(true)?;
        relay.add_service(forward, [socket]).map_err(Fault::new)?;
        if let Some(mut limit) = limit {
            limit.start(signals::release);
            relay.add_source(Box::new(limit)).map_err(Fault::new)?;
        }
        // A program lives until the last link has ended, in whatever process; a name goes at once.
        if !manners::starts_programs(&self.line.second) {
            holds.append(&mut shared);
        }
        self.run_loop(relay, holds)
    }

    /// Opens a connecting address again and again.
    pub(super) fn reconnect(
        self,
        first: Box<dyn Opener>,
        second: Box<dyn Opener>,
    ) -> Result<u8, Fault> {
        let forward = self.forward(second, Places::unlimited());
        let (mut relay, _handle) = self.relay(true)?;
        let service = relay.add_service(forward, Vec::<OwnedFd>::new()).map_err(Fault::new)?;
        let interval = manners::read(&self.line.first).time(Opt::Interval);
        let source = Reconnector::start(
            service,
            first,
            interval.unwrap_or(RECONNECT_INTERVAL),
            self.context.journal.clone(),
        )
        .map_err(|error| Fault::new(format_args!("cannot start a thread: {error}")))?;
        relay.add_source(Box::new(source)).map_err(Fault::new)?;
        self.run_loop(relay, Vec::new())
    }

    fn run_loop(
        self,
        mut relay: nsplice_relay::Relay,
        mut leftovers: Vec<Box<dyn Hold>>,
    ) -> Result<u8, Fault> {
        self.add_nursery(&mut relay)?;
        let ending = Ending::default();
        leftovers.extend(self.lock.map(|lock| Box::new(lock) as Box<dyn Hold>));
        let watchman = Watchman {
            signals: self.signals,
            journal: self.context.journal.clone(),
            ending: ending.clone(),
            leftovers,
            survives: Some(self.context.pool.clone()),
        };
        relay.add_source(Box::new(watchman)).map_err(Fault::new)?;
        relay.run().map_err(Fault::new)?;
        Ok(ending.signal().map_or_else(|| u8::from(self.context.journal.failed()), signals::status))
    }
}
