//! Endpoints that connect: TCP, UNIX and VSOCK sockets.
//!
//! An opening finds candidates, and tries one after the other until one is connected. A candidate is
//! a remote address, the local one it needs, and a type of socket; a name gives one for each of its
//! addresses, `UNIX-CLIENT` one for each type. An address that is silent for a moment goes on beside
//! the next one, and the first to be connected is taken (RFC 8305). When all fail, the failure of
//! the first is the one that is told, as socat would have told it that tries no other.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::epoll::EpollFlags;
use nsplice_backend::{Limit, Timer, STAGGER};
use nsplice_relay::{Attempt, OpenClass, OpenError, Opener, Progress, Wake};
use nsplice_sys::{describe, Answer, Offloaded};

use crate::fault::Fault;
use crate::journal::Level;
use crate::language::Address;

use super::candidate::{Candidate, Connection, Found};
use super::handshake::{outcome, Bound, Fate, Outcome};
use super::name::spelled;
use super::refusal::{no_answer, no_timer};
use super::route::{routed, Route, Turn};
use super::settings::{apply, Phase};
use super::socket_file::with_file;
use super::Context;

/// How long to wait for room in a listener's queue.
const CONGESTED: Duration = Duration::from_millis(10);

/// An endpoint that connects, once for each link.
pub(crate) fn opener(address: &Address, context: &Context) -> Result<Box<dyn Opener>, Fault> {
    let route: Arc<dyn Route> = Arc::new(Connection::of(address, context)?);
    Ok(routed("connect", route, address, &context.journal))
}

impl Route for Connection {
    fn begin(self: Arc<Self>, turn: Turn) -> Box<dyn Attempt> {
        Box::new(Connecting {
            connection: self,
            turn,
            candidates: Vec::new().into_iter(),
            begun: 0,
            first_failure: None,
            runners: Vec::new(),
            gathered: None,
            state: State::Fresh,
        })
    }
}

#[derive(Debug)]
struct Connecting {
    connection: Arc<Connection>,
    turn: Turn,
    candidates: std::vec::IntoIter<Candidate>,
    /// How many candidates have begun.
    begun: usize,
    /// Of those that failed, the first in their order.
    first_failure: Option<(usize, OpenError)>,
    /// Those that are waited for.
    runners: Vec<Runner>,
    /// What gathers them and the time, unless there is one only and it has all the time it takes.
    gathered: Option<Limit>,
    state: State,
}

#[derive(Debug)]
enum State {
    Fresh,
    Resolving(Offloaded<Result<Vec<Candidate>, OpenError>>),
    Connecting,
    Congested(Box<Candidate>, Timer),
    Over,
}

/// A candidate that has not answered yet.
#[derive(Debug)]
struct Runner {
    /// Which candidate it is, from 1.
    place: usize,
    candidate: Candidate,
    bound: Bound,
    /// When `connect-timeout=` is over for it.
    end: Option<Instant>,
}

impl Connecting {
    fn find(&mut self) -> Progress {
        match self.connection.find() {
            Found::Known(candidates) => {
                self.candidates = candidates.into_iter();
                self.go_on()
            }
            Found::Failed(error) => Progress::Failed(error),
            Found::Asked(asked) => {
                self.state = State::Resolving(asked);
                Progress::Waiting
            }
        }
    }

    /// Tries candidates until one is connected or must be waited for.
    fn go_on(&mut self) -> Progress {
        while let Some(candidate) = self.candidates.next() {
            self.begun += 1;
            let journal = &self.connection.journal;
            let is_wanted = self.turn == Turn::First && journal.wants(Level::Notice);
            if is_wanted && self.connection.is_announced() {
                let remote = spelled(&candidate.remote);
                let notice = format_args!("opening connection to {remote}");
                journal.tell(Level::Notice, notice);
            }
            if let Some(progress) = self.attempt(candidate) {
                return progress;
            }
        }
        if !self.runners.is_empty() {
            return self.wait_on();
        }
        let nothing =
            || OpenError::new(OpenClass::NameUnknown, "there is no address to connect to");
        Progress::Failed(self.first_failure.take().map_or_else(nothing, |(_, error)| error))
    }

    /// Tries one candidate; `None` if it failed and the next is to be tried.
    fn attempt(&mut self, candidate: Candidate) -> Option<Progress> {
        match self.connection.step(&candidate) {
            Fate::Connected(bound) => Some(self.finish(bound)),
            Fate::Waiting(bound) => {
                let end = self.connection.timeout.and_then(|time| Instant::now().checked_add(time));
                Some(self.wait_for(Runner { place: self.begun, candidate, bound, end }))
            }
            Fate::Congested => match Timer::after(CONGESTED) {
                Ok(timer) => {
                    self.state = State::Congested(Box::new(candidate), timer);
                    Some(Progress::Waiting)
                }
                Err(errno) => Some(Progress::Failed(no_timer(errno))),
            },
            Fate::WrongType(error) => {
                self.failed(self.begun, error);
                None
            }
            Fate::Failed(error) => {
                if self.connection.is_one_name() {
                    // Another type of socket would fail as well.
                    self.candidates = Vec::new().into_iter();
                }
                self.failed(self.begun, error);
                None
            }
        }
    }

    fn failed(&mut self, place: usize, error: OpenError) {
        let (first, other) = match self.first_failure.take() {
            None => ((place, error), None),
            Some(first) if first.0 < place => (first, Some(error)),
            Some((_, other)) => ((place, error), Some(other)),
        };
        self.first_failure = Some(first);
        // Only what is not told at the end is told here.
        if let Some(OpenError { detail, .. }) = other {
            self.connection.journal.tell(Level::Info, &detail);
        }
    }

    fn finish(&self, bound: Bound) -> Progress {
        let Bound { socket, file } = bound;
        if let Err(error) = apply(&socket, &self.connection.address, Phase::Connected) {
            return Progress::Failed(error);
        }
        let journal = &self.connection.journal;
        if journal.wants(Level::Notice) {
            let local = socket.local_addr();
            let local = local.map_or_else(|_| "NULL".to_owned(), |local| spelled(&local));
            let notice = format_args!("successfully connected from local address {local}");
            journal.tell(Level::Notice, notice);
        }
        Progress::Open(with_file(socket.into(), file))
    }

    /// Waits for one more, beside those that are waited for already.
    fn wait_for(&mut self, runner: Runner) -> Progress {
        self.state = State::Connecting;
        let time = self.time_left(Some(&runner));
        let progress = match (&self.gathered, time) {
            (Some(gathered), _) => {
                // Where that fails the others are watched, and the time.
                let _ = gathered.watch(&runner.bound.socket, EpollFlags::EPOLLOUT);
                gathered.restart(time);
                Progress::Pending
            }
            (None, None) => Progress::Waiting,
            (None, Some(time)) => {
                match Limit::set(&runner.bound.socket, EpollFlags::EPOLLOUT, time) {
                    Ok(limit) => self.gathered = Some(limit),
                    Err(errno) if runner.end.is_some() => return Progress::Failed(no_timer(errno)),
                    // The next one begins when this one has failed.
                    Err(_) => {}
                }
                Progress::Waiting
            }
        };
        self.runners.push(runner);
        progress
    }

    /// Goes on waiting, with no candidate left.
    fn wait_on(&mut self) -> Progress {
        self.state = State::Connecting;
        if let Some(gathered) = &self.gathered {
            gathered.restart(self.time_left(None));
        }
        Progress::Pending
    }

    /// Until the first of those that are waited for, and of `newcomer`, has no time left, or the next
    /// candidate is due.
    fn time_left(&self, newcomer: Option<&Runner>) -> Option<Duration> {
        let ends = self.runners.iter().chain(newcomer).filter_map(|runner| runner.end).min();
        let left = ends.map(|end| end.saturating_duration_since(Instant::now()));
        let may_begin = |next: &Candidate| {
            next.is_independent() && newcomer.is_some() && !self.connection.is_one_name()
        };
        let is_due = self.candidates.as_slice().first().is_some_and(may_begin);
        [left, is_due.then_some(STAGGER)].into_iter().flatten().min()
    }

    /// Looks at those that are waited for.
    fn look(&mut self) -> Progress {
        let now = Instant::now();
        let before = self.runners.len();
        for runner in std::mem::take(&mut self.runners) {
            let Runner { place, candidate, bound, end } = runner;
            let error = match outcome(&bound.socket) {
                Outcome::Connected => {
                    self.runners.clear();
                    return self.finish(bound);
                }
                Outcome::Refused(errno) => {
                    self.connection.refused(&candidate, &bound.socket, errno)
                }
                Outcome::Undecided if end.is_some_and(|end| end <= now) => {
                    let remote = spelled(&candidate.remote);
                    let words = describe(&Errno::ETIMEDOUT.into());
                    OpenError::new(OpenClass::TimedOut, format!("connecting to {remote}: {words}"))
                }
                Outcome::Undecided => {
                    self.runners.push(Runner { place, candidate, bound, end });
                    continue;
                }
            };
            self.failed(place, error);
        }
        let is_due = self.gathered.as_ref().is_some_and(Limit::is_over);
        if is_due || self.runners.len() < before {
            return self.go_on();
        }
        self.state = State::Connecting;
        Progress::Pending
    }
}

impl Attempt for Connecting {
    fn advance(&mut self, _wake: Wake) -> Progress {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Fresh => self.find(),
            State::Resolving(asked) => match asked.take() {
                Answer::Here(Ok(candidates)) => {
                    self.candidates = candidates.into_iter();
                    self.go_on()
                }
                Answer::Here(Err(error)) => Progress::Failed(error),
                Answer::Lost => Progress::Failed(no_answer()),
                Answer::NotYet => {
                    self.state = State::Resolving(asked);
                    Progress::Pending
                }
            },
            State::Connecting => self.look(),
            State::Congested(candidate, timer) if !timer.is_over() => {
                self.state = State::Congested(candidate, timer);
                Progress::Pending
            }
            State::Congested(candidate, _) => match self.attempt(*candidate) {
                Some(progress) => progress,
                None => self.go_on(),
            },
            State::Over => Progress::Pending,
        }
    }

    fn source(&self) -> Option<BorrowedFd<'_>> {
        match &self.state {
            State::Resolving(asked) => Some(asked.source()),
            State::Connecting => match &self.gathered {
                Some(gathered) => Some(gathered.as_fd()),
                None => self.runners.last().map(|runner| runner.bound.socket.as_fd()),
            },
            State::Congested(_, timer) => Some(timer.as_fd()),
            State::Fresh | State::Over => None,
        }
    }
}
