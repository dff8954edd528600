//! Listening for a single client: bind, listen, accept one, close the listener.
//!
//! A client that is not let in is closed, and the next one is waited for. The socket's file is
//! removed when the link has ended.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::epoll::EpollFlags;
use nsplice_backend::Limit;
use nsplice_relay::{is_of_client, Attempt, OpenClass, OpenError, Progress, Wake};
use nsplice_sys::describe;
use socket2::SockRef;

use crate::fault::Fault;
use crate::journal::{Journal, Level};
use crate::language::{Address, Opt};

use super::admission::Admission;
use super::netns::errno_of;
use super::refusal::no_timer;
use super::route::{Route, Turn};
use super::setup::{self, Setup};
use super::socket_file::with_file;
use super::station::{Station, Stationed};
use super::Context;

/// The message when `accept-timeout=` is over: a warning, when it is. The opening then ends as
/// [`OpenClass::NoClient`], which is no failure: socat exits with 0.
pub(crate) const ACCEPT_TIMED_OUT: &str = "accept: Connection timed out";

/// A listening endpoint that takes a single client.
#[derive(Debug)]
pub(crate) struct Reception {
    station: Arc<Station>,
    admission: Admission,
    timeout: Option<Duration>,
    journal: Journal,
}

impl Reception {
    /// The listening endpoint that `address` describes.
    pub(crate) fn of(address: &Address, context: &Context) -> Result<Self, Fault> {
        Ok(Self {
            station: Arc::new(Station::of(address, context)?),
            admission: Admission::of(address, context.flags.ip, &context.journal)?,
            timeout: accept_timeout(address),
            journal: context.journal.clone(),
        })
    }
}

/// `accept-timeout=`; zero is none.
pub(crate) fn accept_timeout(address: &Address) -> Option<Duration> {
    address.time(Opt::AcceptTimeout).filter(|time| !time.is_zero())
}

impl Route for Reception {
    fn begin(self: Arc<Self>, _turn: Turn) -> Box<dyn Attempt> {
        let setup = Setup::of(Arc::clone(&self.station));
        Box::new(Accepting { reception: self, state: State::SettingUp(setup) })
    }
}

#[derive(Debug)]
struct Accepting {
    reception: Arc<Reception>,
    state: State,
}

#[derive(Debug)]
enum State {
    SettingUp(Setup),
    Listening(Stationed, Option<Limit>),
    Over,
}

impl Accepting {
    fn set_up(&mut self, mut setup: Setup) -> Progress {
        let stationed = match setup.advance() {
            setup::Advance::Over(Ok(stationed)) => stationed,
            setup::Advance::Over(Err(error)) => return Progress::Failed(error),
            setup::Advance::Waiting => {
                self.state = State::SettingUp(setup);
                return Progress::Waiting;
            }
            setup::Advance::Pending => {
                self.state = State::SettingUp(setup);
                return Progress::Pending;
            }
        };
        let reception = &self.reception;
        let limit = match reception.timeout {
            None => None,
            Some(time) => match Limit::set(&stationed.socket, EpollFlags::EPOLLIN, time) {
                Ok(limit) => Some(limit),
                Err(errno) => return Progress::Failed(no_timer(errno)),
            },
        };
        reception.journal.tell(Level::Notice, &stationed.notice);
        self.state = State::Listening(stationed, limit);
        Progress::Waiting
    }

    /// Accepts until a client may stay or there is none.
    fn accept(&mut self, stationed: Stationed, limit: Option<Limit>) -> Progress {
        loop {
            match SockRef::from(&stationed.socket).accept() {
                Ok((client, _)) => {
                    if !self.reception.admission.admits(client.as_fd()) {
                        drop(client);
                        self.reception.journal.tell(Level::Notice, &stationed.notice);
                        continue;
                    }
                    return match client.set_nonblocking(true) {
                        // The listener is closed here; its file stays as long as the link.
                        Ok(()) => Progress::Open(with_file(client.into(), stationed.file)),
                        Err(error) => Progress::Failed(OpenError::from_io("fcntl()", &error)),
                    };
                }
                Err(error) => match errno_of(&error) {
                    Errno::EAGAIN => break,
                    errno if is_of_client(errno) => {}
                    errno => {
                        let number = stationed.socket.as_raw_fd();
                        let told = format!("accept({number}): {}", describe(&errno.into()));
                        return Progress::Failed(OpenError::new(OpenClass::of_errno(errno), told));
                    }
                },
            }
        }
        if limit.as_ref().is_some_and(Limit::is_over) {
            tell_timeout(&self.reception.journal);
            return Progress::Failed(OpenError::new(OpenClass::NoClient, ACCEPT_TIMED_OUT));
        }
        self.state = State::Listening(stationed, limit);
        Progress::Pending
    }
}

/// Tells that nobody came.
pub(crate) fn tell_timeout(journal: &Journal) {
    journal.tell(Level::Warning, ACCEPT_TIMED_OUT);
    journal.tell(Level::Notice, "Waiting for child processes to terminate");
}

impl Attempt for Accepting {
    fn advance(&mut self, _wake: Wake) -> Progress {
        match std::mem::replace(&mut self.state, State::Over) {
            State::SettingUp(setup) => self.set_up(setup),
            State::Listening(stationed, limit) => self.accept(stationed, limit),
            State::Over => Progress::Pending,
        }
    }

    fn source(&self) -> Option<BorrowedFd<'_>> {
        match &self.state {
            State::SettingUp(setup) => setup.source(),
            State::Listening(_, Some(limit)) => Some(limit.as_fd()),
            State::Listening(stationed, None) => Some(stationed.socket.as_fd()),
            State::Over => None,
        }
    }
}
