//! Endpoints that connect: TCP, UNIX and VSOCK sockets.
//!
//! An opening finds candidates, and tries one after the other until one is connected. A candidate is
//! a remote address, the local one it needs, and a type of socket; a name gives one for each of its
//! addresses, `UNIX-CLIENT` one for each type. When all fail, the first failure is the one that
//! is told, as socat would have told it that tries no other.
//!
//! Kernel facts:
//! - On the loopback a connect is decided before connect(2) returns EINPROGRESS, so one poll(2) right
//!   after it spares a turn of the loop.
//! - A UNIX socket whose listener's queue is full answers EAGAIN at once and reports nothing when
//!   there is room; all that can be done is to try again after a moment.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::epoll::EpollFlags;
use nsplice_backend::{Answer, Limit, Offloaded, Timer};
use nsplice_relay::open::describe;
use nsplice_relay::{Attempt, OpenClass, OpenError, Progress, Wake};
use socket2::{SockRef, Socket};

use crate::journal::Level;

use super::candidate::{Candidate, Connection, Found};
use super::name::spelled;
use super::netns::errno_of;
use super::route::{Route, Turn};
use super::settings::{apply, Phase};
use super::setup::no_answer;
use super::socket_file::{with_file, SocketFile};

/// How long to wait for room in a listener's queue.
const CONGESTED: Duration = Duration::from_millis(10);

impl Route for Connection {
    fn begin(self: Arc<Self>, turn: Turn) -> Box<dyn Attempt> {
        Box::new(Connecting {
            connection: self,
            turn,
            candidates: Vec::new().into_iter(),
            first_failure: None,
            stage: Stage::Fresh,
        })
    }
}

#[derive(Debug)]
struct Connecting {
    connection: Arc<Connection>,
    turn: Turn,
    candidates: std::vec::IntoIter<Candidate>,
    first_failure: Option<OpenError>,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Fresh,
    Resolving(Offloaded<Result<Vec<Candidate>, OpenError>>),
    Connecting(Candidate, Bound, Option<Limit>),
    Congested(Candidate, Timer),
    Over,
}

/// A socket and the file that its local name left behind.
#[derive(Debug)]
struct Bound {
    socket: Socket,
    file: Option<SocketFile>,
}

/// What became of one candidate.
enum Step {
    Connected(Bound),
    Waiting(Bound),
    /// There was no room in the listener's queue.
    Congested,
    Failed(OpenError),
    /// The socket is of another type than the one it was to be connected to.
    WrongType(OpenError),
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
                self.stage = Stage::Resolving(asked);
                Progress::Waiting
            }
        }
    }

    /// Tries candidates until one is connected or must be waited for.
    fn go_on(&mut self) -> Progress {
        while let Some(candidate) = self.candidates.next() {
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
        let nothing =
            || OpenError::new(OpenClass::NameUnknown, "there is no address to connect to");
        Progress::Failed(self.first_failure.take().unwrap_or_else(nothing))
    }

    /// Tries one candidate; `None` if it failed and the next is to be tried.
    fn attempt(&mut self, candidate: Candidate) -> Option<Progress> {
        match self.connection.step(&candidate) {
            Step::Connected(bound) => Some(self.finish(bound)),
            Step::Waiting(bound) => {
                let limit = match self.connection.timeout {
                    None => None,
                    Some(time) => match Limit::set(&bound.socket, EpollFlags::EPOLLOUT, time) {
                        Ok(limit) => Some(limit),
                        Err(errno) => return Some(Progress::Failed(no_timer(errno))),
                    },
                };
                self.stage = Stage::Connecting(candidate, bound, limit);
                Some(Progress::Waiting)
            }
            Step::Congested => match Timer::after(CONGESTED) {
                Ok(timer) => {
                    self.stage = Stage::Congested(candidate, timer);
                    Some(Progress::Waiting)
                }
                Err(errno) => Some(Progress::Failed(no_timer(errno))),
            },
            Step::WrongType(error) => {
                self.failed(error);
                None
            }
            Step::Failed(error) => {
                if self.connection.is_one_name() {
                    // Another type of socket would fail as well.
                    self.candidates = Vec::new().into_iter();
                }
                self.failed(error);
                None
            }
        }
    }

    fn failed(&mut self, error: OpenError) {
        // Only what is not told at the end is told here.
        match &self.first_failure {
            None => self.first_failure = Some(error),
            Some(_) => self.connection.journal.tell(Level::Info, &error.detail),
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

    /// Looks at the candidate that is waited for.
    fn look(&mut self, candidate: Candidate, bound: Bound, limit: Option<Limit>) -> Progress {
        let error = match outcome(&bound.socket) {
            Outcome::Connected => return self.finish(bound),
            Outcome::Refused(errno) => self.connection.refused(&candidate, &bound.socket, errno),
            Outcome::Undecided if limit.as_ref().is_some_and(Limit::is_over) => {
                let remote = spelled(&candidate.remote);
                let words = describe(&Errno::ETIMEDOUT.into());
                OpenError::new(OpenClass::TimedOut, format!("connecting to {remote}: {words}"))
            }
            Outcome::Undecided => {
                self.stage = Stage::Connecting(candidate, bound, limit);
                return Progress::Pending;
            }
        };
        drop(bound);
        self.failed(error);
        self.go_on()
    }
}

impl Attempt for Connecting {
    fn advance(&mut self, _wake: Wake) -> Progress {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Fresh => self.find(),
            Stage::Resolving(asked) => match asked.take() {
                Answer::Here(Ok(candidates)) => {
                    self.candidates = candidates.into_iter();
                    self.go_on()
                }
                Answer::Here(Err(error)) => Progress::Failed(error),
                Answer::Lost => Progress::Failed(no_answer()),
                Answer::NotYet => {
                    self.stage = Stage::Resolving(asked);
                    Progress::Pending
                }
            },
            Stage::Connecting(candidate, bound, limit) => self.look(candidate, bound, limit),
            Stage::Congested(candidate, timer) if !timer.is_over() => {
                self.stage = Stage::Congested(candidate, timer);
                Progress::Pending
            }
            Stage::Congested(candidate, _) => match self.attempt(candidate) {
                Some(progress) => progress,
                None => self.go_on(),
            },
            Stage::Over => Progress::Pending,
        }
    }

    fn source(&self) -> Option<BorrowedFd<'_>> {
        match &self.stage {
            Stage::Resolving(asked) => Some(asked.source()),
            Stage::Connecting(_, _, Some(limit)) => Some(limit.as_fd()),
            Stage::Connecting(_, bound, None) => Some(bound.socket.as_fd()),
            Stage::Congested(_, timer) => Some(timer.as_fd()),
            Stage::Fresh | Stage::Over => None,
        }
    }
}

impl Connection {
    /// Makes a socket and begins to connect it.
    fn step(&self, candidate: &Candidate) -> Step {
        match self.prepare(candidate) {
            Ok(bound) => self.connect(candidate, bound),
            Err(error) => Step::Failed(error),
        }
    }

    /// Everything before connect(2).
    fn prepare(&self, candidate: &Candidate) -> Result<Bound, OpenError> {
        let protocol = candidate.protocol();
        let socket = self.birth.socket(candidate.remote.domain(), candidate.kind, protocol)?;
        if self.is_impatient() && protocol.is_some() {
            // What is relayed has been waited with already; refused by no kernel.
            let _ = SockRef::from(&socket).set_tcp_nodelay(true);
        }
        apply(&socket, &self.address, Phase::Made)?;
        apply(&socket, &self.address, Phase::BeforeBind)?;
        candidate.local.bind(&socket)?;
        let file = candidate.local.path().map(SocketFile::made);
        Ok(Bound { socket, file })
    }

    fn connect(&self, candidate: &Candidate, bound: Bound) -> Step {
        let Err(error) = bound.socket.connect(&candidate.remote) else {
            return Step::Connected(bound);
        };
        match errno_of(&error) {
            Errno::EAGAIN if candidate.remote.is_unix() => Step::Congested,
            Errno::EPROTOTYPE => {
                Step::WrongType(self.refused(candidate, &bound.socket, Errno::EPROTOTYPE))
            }
            Errno::EINPROGRESS => match outcome(&bound.socket) {
                Outcome::Connected => Step::Connected(bound),
                Outcome::Undecided => Step::Waiting(bound),
                Outcome::Refused(errno) => {
                    Step::Failed(self.refused(candidate, &bound.socket, errno))
                }
            },
            errno => Step::Failed(self.refused(candidate, &bound.socket, errno)),
        }
    }

    fn refused(&self, candidate: &Candidate, socket: &Socket, errno: Errno) -> OpenError {
        let told = self.told(candidate, socket.as_raw_fd());
        OpenError::new(OpenClass::of_errno(errno), format!("{told}: {}", describe(&errno.into())))
    }
}

pub(crate) fn no_timer(errno: Errno) -> OpenError {
    let told = format!("timerfd_create(): {}", describe(&errno.into()));
    OpenError::new(OpenClass::of_errno(errno), told)
}

/// How far a connect has come.
enum Outcome {
    Connected,
    Refused(Errno),
    Undecided,
}

fn outcome(socket: &Socket) -> Outcome {
    let mut watched = [PollFd::new(socket.as_fd(), PollFlags::POLLOUT)];
    // A poll(2) that fails has told nothing; the loop's own will.
    if !matches!(poll(&mut watched, PollTimeout::ZERO), Ok(1..)) {
        return Outcome::Undecided;
    }
    let [watched] = watched;
    if watched.revents() == Some(PollFlags::POLLOUT) {
        // What was refused says so by POLLERR, and need not be asked.
        return Outcome::Connected;
    }
    match socket.take_error() {
        Ok(Some(error)) | Err(error) => Outcome::Refused(errno_of(&error)),
        Ok(None) => Outcome::Connected,
    }
}
