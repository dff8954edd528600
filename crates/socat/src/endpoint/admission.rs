//! Clients: which are let in (`range=`, `sourceport=`, `lowport`), and what is set on their sockets.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use nsplice_backend::Timer;
use nsplice_relay::{Entry, Reason};

use crate::fault::Fault;
use crate::journal::{Journal, Level};
use crate::language::flags::IpPreference;
use crate::language::{Address, Opt};

use super::binding::source_port;
use super::inet::Version;
use super::name::{accepting, peer, spelled};
use super::preference;
use super::range::Range;
use super::refusal::no_timer;
use super::settings::{apply, Phase};

/// The conditions for a client to be let in.
#[derive(Debug, Clone)]
pub(crate) struct Admission {
    range: Option<Range>,
    source_port: Option<u16>,
    low_port: bool,
    /// Its options are those of the client's socket.
    address: Address,
    journal: Journal,
    /// Of a listener for many: told again after each client, as socat does.
    notice: Option<Arc<OnceLock<String>>>,
    recess: Option<Recess>,
}

/// The time without clients that a listener for many bears, running anew with each of them.
#[derive(Debug, Clone)]
pub(crate) struct Recess {
    timer: Arc<Timer>,
    time: Duration,
}

impl Recess {
    /// A recess that has not begun.
    pub(crate) fn new(time: Duration) -> Result<Self, Fault> {
        let timer = Timer::new().map_err(|errno| Fault::new(no_timer(errno)))?;
        Ok(Self { timer: Arc::new(timer), time })
    }

    /// It begins, or begins anew.
    pub(crate) fn start(&self) {
        // A timer that was made can be set.
        let _ = self.timer.set(self.time);
    }

    /// Returns whether it has lasted too long.
    pub(crate) fn is_over(&self) -> bool {
        self.timer.is_over()
    }

    /// Readable when it has lasted too long.
    pub(crate) fn source(&self) -> BorrowedFd<'_> {
        self.timer.as_fd()
    }
}

/// A port that only root may have is below this one.
const UNPRIVILEGED: u16 = 1024;

impl Admission {
    /// The checks that `address` asks for.
    pub(crate) fn of(
        address: &Address,
        flags: IpPreference,
        journal: &Journal,
    ) -> Result<Self, Fault> {
        let range = match address.text(Opt::Range) {
            None => None,
            Some(text) => {
                let six = preference::listening(address, flags)? == Version::V6;
                Some(Range::read(text, six)?)
            }
        };
        Ok(Self {
            range,
            source_port: source_port(address)?,
            low_port: address.has(Opt::LowPort),
            address: address.clone(),
            journal: journal.clone(),
            notice: None,
            recess: None,
        })
    }

    /// The same checks for a listener for many.
    pub(crate) fn of_many(self, notice: Arc<OnceLock<String>>, recess: Option<Recess>) -> Self {
        Self { notice: Some(notice), recess, ..self }
    }

    /// Returns whether `client`, which has just been accepted, may stay.
    pub(crate) fn admits(&self, client: BorrowedFd<'_>) -> bool {
        self.entry(client) == Entry::Admit
    }

    /// Decides on `client`, which has just been accepted; tells about it either way, and sets its
    /// options.
    pub(crate) fn entry(&self, client: BorrowedFd<'_>) -> Entry {
        if self.journal.wants(Level::Notice) {
            self.journal.tell(Level::Notice, accepting(client));
        }
        let entry = self.examine(client);
        if let Some(notice) = self.notice.as_ref().and_then(|notice| notice.get()) {
            self.journal.tell(Level::Notice, notice);
        }
        if let Some(recess) = &self.recess {
            recess.start();
        }
        entry
    }

    fn examine(&self, client: BorrowedFd<'_>) -> Entry {
        if let Some(reason) = self.objection(client) {
            let from = socket2::SockRef::from(&client)
                .peer_addr()
                .map_or_else(|_| "NULL".to_owned(), |address| spelled(&address));
            let told = format_args!("refusing connection from {from} due to {reason}");
            self.journal.tell(Level::Warning, told);
            return Entry::Refuse(Reason::Client);
        }
        if let Err(error) = apply(client, &self.address, Phase::Connected) {
            self.journal.tell(Level::Error, error);
            return Entry::Refuse(Reason::Unfit);
        }
        Entry::Admit
    }

    fn objection(&self, client: BorrowedFd<'_>) -> Option<&'static str> {
        if self.range.is_none() && self.source_port.is_none() && !self.low_port {
            return None;
        }
        let from = peer(client)?;
        if self.range.is_some_and(|range| !range.has(from.ip())) {
            return Some("range option");
        }
        if self.source_port.is_some_and(|port| port != from.port()) {
            return Some("wrong sourceport");
        }
        if self.low_port && from.port() >= UNPRIVILEGED {
            return Some("lowport option");
        }
        None
    }
}
