//! The loop: one thread, one `mio::Poll`, the listeners and links that belong to it.
//!
//! A turn: poll, take in all events, accept a few clients, give each ready link a turn within its
//! budgets, expire timers, bury what has ended. `now` is read once. Links that have more to do
//! than their budget allows stay on the ready list, and the next poll does not wait.
//!
//! Events only set bits and queue links; nothing is closed while events of the same batch are still
//! to be taken in, and keys carry a generation, so an event can never reach a stranger.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::mpsc::{channel, Receiver};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Waker};
use nix::errno::Errno;

use crate::forward::Forward;
use crate::glimpse::Glimpse;
use crate::lane::low_water::LongBurst;
use crate::lane::mode::COPY_BUFFER;
use crate::lane::pipe::PipePool;
use crate::link::downstream::Downstream;
use crate::link::writers::Writers;
use crate::link::{Link, Next};
use crate::net::listen::Listener;
use crate::observer::{Observer, Record, Trouble};
use crate::outcome::{Limit, Outcome, Side};
use crate::relay::acceptor::{Acceptor, Gate, PAUSE_TICK};
use crate::relay::attendant::Attendant;
use crate::relay::counters::Counters;
use crate::relay::fd_reserve::FdReserve;
use crate::relay::handle::{Command, Handle};
use crate::relay::settings::Settings;
use crate::relay::timers::Timers;
use crate::table::{Key, Table};
use crate::turn::Turn;

use self::accept::Burst;
use self::attending::ATTENDANTS;

mod accept;
pub(crate) mod acceptor;
pub(crate) mod attendant;
mod attending;
pub(crate) mod counters;
pub(crate) mod fd_reserve;
pub(crate) mod handle;
pub(crate) mod settings;
pub(crate) mod timers;

/// What is allocated for the copy buffer. From this size on malloc(3) hands out fresh pages, which
/// cost nothing until they are touched; a smaller block it would clear, and a process for a single
/// connection would pay for 64 KiB to move a line.
const BUFFER_ALLOCATED: usize = 2 * COPY_BUFFER;

/// Number of the waker among the loop's own sources; the listeners follow.
const WAKER: usize = 0;

/// Events taken from the kernel in one turn.
const EVENTS: usize = 1024;

/// What keeps a loop from starting or going on.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// epoll, eventfd or a descriptor could not be had.
    #[error("cannot {what}: {}", nsplice_sys::describe(.source))]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system answered.
        source: io::Error,
    },
}

impl RelayError {
    fn when(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { what, source }
    }
}

/// One event loop with its listeners and links.
#[derive(Debug)]
pub struct Relay {
    poll: Poll,
    commands: Receiver<Command>,
    observer: Box<dyn Observer>,
    counters: Arc<Counters>,
    forwards: Vec<Forward>,
    /// Of each forward.
    writers: Vec<Writers>,
    acceptors: Vec<Acceptor>,
    /// Those that are on, at most one for each forward.
    bursts: Vec<Burst>,
    attendants: Vec<Box<dyn Attendant>>,
    gate: Gate,
    reserve: FdReserve,
    links: Table<Link>,
    ready: VecDeque<Key>,
    timers: Timers,
    drain_until: Option<Instant>,
    buffer: Box<[u8]>,
    pool: PipePool,
    splice: bool,
    long_burst: LongBurst,
    refusal: Option<Errno>,
    now: Instant,
}

impl Relay {
    /// A loop with nothing to do yet.
    ///
    /// # Errors
    /// When epoll or eventfd cannot be had.
    pub fn new(
        settings: Settings,
        observer: Box<dyn Observer>,
    ) -> Result<(Self, Handle), RelayError> {
        let poll = Poll::new().map_err(RelayError::when("create an epoll instance"))?;
        let waker = Waker::new(poll.registry(), Key::own_token(WAKER))
            .map_err(RelayError::when("create the waker of the loop"))?;
        let (sender, commands) = channel();
        let counters = Arc::new(Counters::default());
        let handle = Handle { sender, waker: Arc::new(waker), counters: Arc::clone(&counters) };
        let relay = Self {
            poll,
            commands,
            observer,
            counters,
            forwards: Vec::new(),
            writers: Vec::new(),
            acceptors: Vec::new(),
            bursts: Vec::new(),
            attendants: Vec::new(),
            gate: Gate::Open,
            reserve: FdReserve::default(),
            links: Table::new(),
            ready: VecDeque::new(),
            timers: Timers::default(),
            drain_until: None,
            buffer: vec![0; BUFFER_ALLOCATED].into_boxed_slice(),
            pool: PipePool::new(settings.max_pipes, settings.pipe_size),
            splice: settings.splice,
            long_burst: settings.long_burst,
            refusal: None,
            now: Instant::now(),
        };
        Ok((relay, handle))
    }

    /// Adds a forward and the sockets it listens on (made by [`crate::listen()`], or by others).
    /// Answers its number.
    ///
    /// # Errors
    /// When a listener cannot be registered, or the reserve of descriptors cannot be had.
    pub fn add_forward(
        &mut self,
        forward: Forward,
        listeners: impl IntoIterator<Item = impl Into<Listener>>,
    ) -> Result<usize, RelayError> {
        self.reserve.establish().map_err(RelayError::when("reserve descriptors"))?;
        let index = self.forwards.len();
        self.forwards.push(forward);
        self.writers.push(Writers::default());
        for listener in listeners {
            let acceptor = Acceptor::new(listener.into(), index)
                .map_err(RelayError::when("use the listener"))?;
            let token = Key::own_token(WAKER + 1 + self.acceptors.len());
            self.poll
                .registry()
                .register(&mut SourceFd(&acceptor.as_fd().as_raw_fd()), token, Interest::READABLE)
                .map_err(RelayError::when("wait for the listener"))?;
            self.acceptors.push(acceptor);
        }
        Ok(index)
    }

    /// Makes sure that this process may have `others` descriptors for what is still to be made, and
    /// one more for a client. Asked before the loop runs, because one that finds no descriptor then
    /// waits until there are some.
    ///
    /// # Errors
    /// When it may not.
    pub fn expect_room(&self, others: usize) -> Result<(), RelayError> {
        FdReserve::try_out(others + 1).map_err(RelayError::when("keep a descriptor for a client"))
    }

    /// Adds one link whose downstream is at hand. The loop ends with it if it has no listeners.
    ///
    /// # Errors
    /// When the downstream cannot be used; an upstream that cannot be opened is an outcome.
    pub fn adopt(&mut self, downstream: Downstream, forward: Forward) -> Result<(), RelayError> {
        let unusable = |error: Errno| RelayError::System {
            what: "use the downstream",
            source: io::Error::from(error),
        };
        let channel = downstream.into_conn().map_err(unusable)?;
        let index = self.forwards.len();
        self.forwards.push(forward);
        self.writers.push(Writers::default());
        self.now = Instant::now();
        self.admit(index, channel, None, None);
        Ok(())
    }

    /// Runs until there is neither a listener nor a link left, or until stopped.
    ///
    /// # Errors
    /// When epoll fails, which it does not for any reason that a peer can cause.
    pub fn run(&mut self) -> Result<(), RelayError> {
        let mut events = Events::with_capacity(EVENTS);
        while self.has_work() {
            match self.poll.poll(&mut events, self.patience()) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(RelayError::when("wait for events")(error)),
            }
            self.now = Instant::now();
            for event in &events {
                self.note(event);
            }
            self.accept_clients();
            for _ in 0..self.ready.len() {
                let Some(key) = self.ready.pop_front() else { break };
                if let Some(link) = self.links.get_mut(key) {
                    link.queued = false;
                    self.run_link(key);
                }
            }
            self.expire();
            self.report_refusal();
        }
        Ok(())
    }

    fn has_work(&self) -> bool {
        !self.acceptors.is_empty()
            || !self.links.is_empty()
            || self.attendants.iter().any(|attendant| attendant.keeps_loop())
    }

    /// How long the next poll may wait.
    fn patience(&self) -> Option<Duration> {
        if !self.ready.is_empty() || self.acceptors.iter().any(|each| self.accepts_from(each)) {
            return Some(Duration::ZERO);
        }
        let now = Instant::now();
        let gate = match self.gate {
            Gate::Open => None,
            Gate::Paused { next_try, .. } => Some(next_try.saturating_duration_since(now)),
        };
        let until = |moment: Instant| moment.saturating_duration_since(now);
        let burst = self.bursts.iter().map(|burst| burst.end).min();
        let (drain, burst) = (self.drain_until.map(until), burst.map(until));
        [self.timers.until_next(now), gate, drain, burst].into_iter().flatten().min()
    }

    fn note(&mut self, event: &mio::event::Event) {
        let Some((key, port)) = Key::of_token(event.token()) else {
            match Key::own_number(event.token()) {
                WAKER => self.obey(),
                number if number >= ATTENDANTS => self.call(number - ATTENDANTS),
                number => {
                    if let Some(acceptor) = self.acceptors.get_mut(number - WAKER - 1) {
                        acceptor.ready = true;
                    }
                }
            }
            return;
        };
        let Some(link) = self.links.get_mut(key) else { return };
        link.note(port, event.into());
        if !link.queued {
            link.queued = true;
            self.ready.push_back(key);
        }
    }

    fn obey(&mut self) {
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Drain(time) => self.drain(time),
                Command::Stop => self.stop(),
                // Whoever has asked may have gone.
                Command::Links(answer) => drop(answer.send(self.glimpses())),
            }
        }
    }

    fn glimpses(&mut self) -> Vec<Glimpse> {
        let mut found = Vec::with_capacity(self.links.len());
        for key in self.links.keys() {
            let Some(link) = self.links.get_mut(key) else { continue };
            if let Some(forward) = self.forwards.get(link.forward) {
                found.push(link.glimpse(forward, self.now));
            }
        }
        found
    }

    fn drain(&mut self, time: Option<Duration>) {
        self.drain_until = time.map(|time| self.now + time);
        self.close_acceptors();
    }

    fn stop(&mut self) {
        self.drop_acceptors();
        self.end_all(Outcome::Stopped);
    }

    /// Gives a link a turn and does what it then needs.
    fn run_link(&mut self, key: Key) {
        self.with_link(key, |link, _, turn| link.turn(turn));
    }

    /// Lends a link the turn for one call, and does what it then needs.
    fn with_link(
        &mut self,
        key: Key,
        call: impl FnOnce(&mut Link, &mut Forward, &mut Turn<'_>) -> Next,
    ) {
        let Some(link) = self.links.get_mut(key) else { return };
        let Some(forward) = self.forwards.get_mut(link.forward) else { return };
        let Some(writers) = self.writers.get_mut(link.forward) else { return };
        let mut turn = Turn {
            now: self.now,
            registry: self.poll.registry(),
            buffer: &mut self.buffer[..COPY_BUFFER],
            pool: &mut self.pool,
            splice: self.splice,
            long_burst: &self.long_burst,
            observer: &mut *self.observer,
            writers,
            counters: &self.counters,
            refusal: &mut self.refusal,
        };
        let next = call(link, forward, &mut turn);
        let is_over = match next {
            Next::End(outcome) => link.is_closing() || link.close(outcome, &mut turn),
            Next::Again | Next::Wait => false,
        };
        let waiting = writers.next();
        if !is_over {
            if next == Next::Again && !link.queued {
                link.queued = true;
                self.ready.push_back(key);
            }
            let wanted = link.wanted_deadline(&forward.limits);
            self.timers.arrange(key, &mut link.deadline, wanted);
        }
        for key in waiting {
            let Some(link) = self.links.get_mut(key) else { continue };
            link.take_turn();
            if !link.queued {
                link.queued = true;
                self.ready.push_back(key);
            }
        }
        if let (true, Next::End(outcome)) = (is_over, next) {
            self.bury(key, outcome);
        }
    }

    /// Takes a link out of the books and tells of its life.
    fn bury(&mut self, key: Key, outcome: Outcome) {
        let Some(mut link) = self.links.remove(key) else { return };
        self.timers.arrange(key, &mut link.deadline, None);
        let Some(forward) = self.forwards.get(link.forward) else { return };
        forward.places.give_back();
        let (up, down) = (link.traffic(Side::Downstream), link.traffic(Side::Upstream));
        self.counters.link_ended(outcome, up, down);
        self.observer.ended(&Record {
            forward: &forward.name,
            backend: forward.opener.backend(),
            client: link.client,
            outcome,
            detail: link.detail.as_deref(),
            work: link.work,
            joined: link.joined,
            up,
            down,
            open_time: link.open_time,
            duration: link.accepted_at.elapsed(),
        });
        drop(link);
        self.try_to_resume();
    }

    fn expire(&mut self) {
        while let Some(key) = self.timers.pop(self.now) {
            if let Some(link) = self.links.get_mut(key) {
                link.deadline = None;
                self.with_link(key, |link, forward, turn| link.expire(&forward.limits, turn));
            }
        }
        if self.drain_until.is_some_and(|moment| moment <= self.now) {
            self.drain_until = None;
            self.end_all(Outcome::Expired(Limit::Drain));
        }
        if matches!(self.gate, Gate::Paused { next_try, .. } if next_try <= self.now) {
            self.gate = match self.gate {
                Gate::Paused { since, .. } => {
                    Gate::Paused { since, next_try: self.now + PAUSE_TICK }
                }
                Gate::Open => Gate::Open,
            };
            self.try_to_resume();
        }
    }

    /// Ends every link that is not ending already.
    fn end_all(&mut self, outcome: Outcome) {
        for key in self.links.keys() {
            self.with_link(key, |link, _, turn| {
                if link.is_closing() {
                    link.hurry(turn.now)
                } else {
                    Next::End(outcome)
                }
            });
        }
    }

    /// Says once that splice is not to be had. A refusal that any descriptor would meet also spares
    /// new lanes the try.
    fn report_refusal(&mut self) {
        let Some(errno) = self.refusal.take() else { return };
        if !self.splice {
            return;
        }
        let general = matches!(errno, Errno::ENOSYS | Errno::EPERM);
        if general {
            self.splice = false;
            self.observer.trouble(&Trouble::SpliceUnavailable { error: &errno.into() });
        }
    }
}
