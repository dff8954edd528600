//! The loop: one thread, one `mio::Poll`, the services, listeners and links that belong to it.
//!
//! A turn: poll, take in all events, accept a few clients, call the sources of events that something was
//! reported of, give each ready link a turn within its budgets, expire timers, bury what has ended,
//! flush the sources. `now` is read once, after the poll; only what may
//! follow much work reads the clock again: an opening that is begun, and the time that the next
//! poll may wait. Links that have more to do than their budget allows stay on the ready list, and
//! the next poll does not wait.
//!
//! Events only set bits and queue links; nothing is closed while events of the same batch are still
//! to be taken in, and keys carry a generation, so an event can never reach a stranger.

use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::{channel, Receiver};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Waker};
use nix::errno::Errno;

use crate::lane::low_water::LongBurst;
use crate::lane::mode::COPY_BUFFER;
use crate::lane::pipe::PipePool;
use crate::link::{Link, Next};
use crate::net::readiness::Wake;
use crate::observer::{Observer, Record, Trouble};
use crate::outcome::Outcome;
use crate::relay::acceptor::{Acceptor, Gate, PAUSE_TICK};
use crate::relay::budget::Budget;
use crate::relay::clock::Clock;
use crate::relay::counters::Counters;
use crate::relay::error::RelayError;
use crate::relay::fd_reserve::FdReserve;
use crate::relay::handle::{Command, Handle};
use crate::relay::service::Service;
use crate::relay::settings::Settings;
use crate::relay::timers::Timers;
use crate::source::sources::EventSources;
use crate::source::Orders;
use crate::table::{Cause, Key, Port, Table};
use crate::turn::Turn;

use self::burst::Burst;

mod accept;
pub(crate) mod acceptor;
pub(crate) mod budget;
mod burst;
pub(crate) mod clock;
mod commands;
pub(crate) mod counters;
pub(crate) mod error;
pub(crate) mod fd_reserve;
pub(crate) mod handle;
pub(crate) mod service;
mod serving;
mod sessions;
pub(crate) mod settings;
mod sources;
pub(crate) mod timers;

/// Bytes allocated for the copy buffer. From this size on malloc(3) hands out fresh pages, which
/// cost nothing until they are touched; a smaller block it would clear, and a process for a single
/// connection would pay for 64 KiB to move a line.
const BUFFER_ALLOCATED: usize = 2 * COPY_BUFFER;

/// Events taken from the kernel in one turn.
const EVENTS: usize = 1024;

/// One event loop with its listeners and links.
#[derive(Debug)]
pub struct Relay {
    poll: Poll,
    commands: Receiver<Command>,
    observer: Box<dyn Observer>,
    counters: Arc<Counters>,
    services: Table<Service>,
    /// The services that drain.
    draining: Vec<Key>,
    /// The loop drains: it takes no client and no service any more.
    drains: bool,
    /// It goes on although it has nothing to do.
    stays: bool,
    acceptors: Table<Acceptor>,
    /// Those that are on, at most one for each service.
    bursts: Vec<Burst>,
    gate: Gate,
    reserve: FdReserve,
    links: Table<Link>,
    ready: VecDeque<Key>,
    timers: Timers,
    sources: EventSources,
    source_timers: Timers,
    /// What sources want, until it is done.
    orders: Orders,
    buffer: Box<[u8]>,
    pool: PipePool,
    budget: Budget,
    splice: bool,
    long_burst: LongBurst,
    refusal: Option<Errno>,
    clock: Clock,
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
        let waker = Waker::new(poll.registry(), Cause::Waker.token())
            .map_err(RelayError::when("create the waker of the loop"))?;
        let (sender, commands) = channel();
        let counters = Arc::new(Counters::default());
        let handle = Handle { sender, waker: Arc::new(waker), counters: Arc::clone(&counters) };
        let relay = Self {
            poll,
            commands,
            observer,
            counters,
            services: Table::new(),
            draining: Vec::new(),
            drains: false,
            stays: settings.stays,
            acceptors: Table::new(),
            bursts: Vec::new(),
            gate: Gate::Open,
            reserve: FdReserve::default(),
            links: Table::new(),
            ready: VecDeque::new(),
            timers: Timers::default(),
            sources: EventSources::default(),
            source_timers: Timers::default(),
            orders: Orders::new(),
            buffer: vec![0; BUFFER_ALLOCATED].into_boxed_slice(),
            pool: PipePool::new(settings.max_pipes, settings.pipe_size),
            budget: Budget::new(settings.socket_memory),
            splice: settings.splice,
            long_burst: settings.long_burst,
            refusal: None,
            now: settings.clock.now(),
            clock: settings.clock,
        };
        Ok((relay, handle))
    }

    /// Runs until there is neither a listener nor a link left, or until stopped. One that stays
    /// ([`Settings::stays`]) has to be drained or stopped.
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
            self.now = self.clock.now();
            for event in &events {
                self.note(event);
            }
            self.accept_clients();
            self.run_sources();
            for _ in 0..self.ready.len() {
                let Some(key) = self.ready.pop_front() else { break };
                if let Some(link) = self.links.get_mut(key) {
                    link.queued = false;
                    self.run_link(key);
                }
            }
            self.expire();
            self.flush_sources();
            self.report_refusal();
        }
        Ok(())
    }

    fn has_work(&self) -> bool {
        (self.stays && !self.drains)
            || !self.acceptors.is_empty()
            || !self.links.is_empty()
            || self.sources.table.iter().any(|each| each.source().keeps_loop())
    }

    /// The time that the next poll may wait.
    fn patience(&self) -> Option<Duration> {
        if !self.ready.is_empty()
            || self.sources.go_on()
            || self.acceptors.iter().any(|each| self.accepts_from(each))
        {
            return Some(Duration::ZERO);
        }
        let now = self.clock.now();
        let gate = match self.gate {
            Gate::Open => None,
            Gate::Paused { next_try, .. } => Some(next_try.saturating_duration_since(now)),
        };
        let until = |moment: Instant| moment.saturating_duration_since(now);
        let burst = self.bursts.iter().map(|burst| burst.end).min();
        let due = |key: &Key| self.services.get(*key)?.due();
        let drain = self.draining.iter().filter_map(due).min();
        let (drain, burst) = (drain.map(until), burst.map(until));
        let timers = [&self.timers, &self.source_timers];
        let timers = timers.into_iter().filter_map(|timers| timers.until_next(now)).min();
        [timers, gate, drain, burst].into_iter().flatten().min()
    }

    fn note(&mut self, event: &mio::event::Event) {
        match Cause::of(event.token()) {
            Some(Cause::Link(key, port)) => self.note_link(key, port, event.into()),
            Some(Cause::Listener(key)) => {
                self.acceptors.get_mut(key).into_iter().for_each(|each| each.ready = true);
            }
            Some(Cause::Source(key)) => self.sources.note(key, event.into()),
            Some(Cause::Waker) => self.obey(),
            None => {}
        }
    }

    /// Takes in what was reported of an end of a link, and gives the link a turn.
    fn note_link(&mut self, key: Key, port: Port, wake: Wake) {
        let Some(link) = self.links.get_mut(key) else { return };
        link.note(port, wake);
        if !std::mem::replace(&mut link.queued, true) {
            self.ready.push_back(key);
        }
    }

    /// Gives a link a turn and does what it then needs.
    fn run_link(&mut self, key: Key) {
        self.with_link(key, Link::turn);
    }

    /// Lends a link the turn for one call, and does what it then needs.
    fn with_link(&mut self, key: Key, call: impl FnOnce(&mut Link, &mut Turn<'_>) -> Next) {
        let Some(link) = self.links.get_mut(key) else { return };
        let Some(service) = self.services.get_mut(link.service) else { return };
        let mut turn = Turn {
            now: self.now,
            clock: &self.clock,
            registry: self.poll.registry(),
            buffer: &mut self.buffer[..COPY_BUFFER],
            pool: &mut self.pool,
            sessions: &mut self.sources,
            splice: self.splice,
            long_burst: &self.long_burst,
            observer: &mut *self.observer,
            writers: &mut service.writers,
            admission: match &mut service.admission {
                Some(admission) => Some(&mut **admission),
                None => None,
            },
            counters: &self.counters,
            refusal: &mut self.refusal,
        };
        let next = call(link, &mut turn);
        let is_over = match next {
            Next::End(outcome) => link.is_closing() || link.close(outcome, &mut turn),
            Next::Again | Next::Wait | Next::OpenFromReserve => false,
        };
        let waiting = service.writers.next();
        if !is_over {
            if next == Next::Again && !link.queued {
                link.queued = true;
                self.ready.push_back(key);
            }
            let wanted = link.wanted_deadline();
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
        match next {
            Next::End(outcome) if is_over => self.bury(key, outcome),
            Next::OpenFromReserve => self.open_from_reserve(key),
            Next::End(_) | Next::Again | Next::Wait => {}
        }
    }

    /// Takes a link out of the books and tells of its life.
    fn bury(&mut self, key: Key, outcome: Outcome) {
        let Some(mut link) = self.links.remove(key) else { return };
        self.timers.arrange(key, &mut link.deadline, None);
        self.budget.give_back(link.grant);
        self.size_listeners();
        let (service, terms) = (link.service, Arc::clone(&link.terms));
        terms.places.give_back();
        let [up, down] = link.carried();
        self.counters.link_ended(outcome);
        terms.counters.link_ended(outcome);
        self.observer.ended(&Record {
            link: link.names(),
            backend: terms.backend,
            client: link.client,
            outcome,
            detail: link.detail.as_deref(),
            work: link.work,
            up,
            down,
            open_time: link.open_time,
            duration: self.clock.now().saturating_duration_since(link.accepted_at),
        });
        drop(link);
        self.link_of_ended(service);
        self.try_to_resume();
    }

    fn expire(&mut self) {
        // Each once: what is due again at once has to wait for the next turn, like everybody else.
        let due: Vec<_> = std::iter::from_fn(|| self.timers.pop(self.now)).collect();
        for key in due {
            if let Some(link) = self.links.get_mut(key) {
                link.deadline = None;
                self.with_link(key, Link::expire);
            }
        }
        self.expire_sources();
        self.expire_services();
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
