//! A listening socket on its way: its name is looked up, off the loop, and then it is made.

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use nsplice_relay::OpenError;
use nsplice_sys::{offload, Answer, Offloaded};
use socket2::SockAddr;

use super::refusal::no_answer;
use super::station::{Station, Stationed};

/// A setup: the way to a listening socket.
#[derive(Debug)]
pub(crate) struct Setup {
    station: Arc<Station>,
    asked: Option<Offloaded<Result<Option<SockAddr>, OpenError>>>,
}

/// The point that a setup has advanced to.
#[derive(Debug)]
pub(crate) enum Advance {
    /// [`Setup::source`] is to be waited for, and it is a new one.
    Waiting,
    /// It is to be waited for still.
    Pending,
    /// It listens, or cannot.
    Over(Result<Stationed, OpenError>),
}

impl Setup {
    /// The way to a socket of `station`.
    pub(crate) fn of(station: Arc<Station>) -> Self {
        Self { station, asked: None }
    }

    /// Goes as far as is possible without waiting.
    pub(crate) fn advance(&mut self) -> Advance {
        if let Some(asked) = self.asked.take() {
            return match asked.take() {
                Answer::Here(resolved) => self.listen(resolved),
                Answer::Lost => Advance::Over(Err(no_answer())),
                Answer::NotYet => {
                    self.asked = Some(asked);
                    Advance::Pending
                }
            };
        }
        if !self.station.needs_asking() {
            return self.listen(self.station.resolve());
        }
        let station = Arc::clone(&self.station);
        match offload(&self.station.pool, move || station.resolve()) {
            Ok(asked) => {
                self.asked = Some(asked);
                Advance::Waiting
            }
            Err(error) => Advance::Over(Err(OpenError::from_io("getaddrinfo()", &error))),
        }
    }

    /// Returns the descriptor that is waited for.
    pub(crate) fn source(&self) -> Option<BorrowedFd<'_>> {
        self.asked.as_ref().map(Offloaded::source)
    }

    fn listen(&self, resolved: Result<Option<SockAddr>, OpenError>) -> Advance {
        Advance::Over(resolved.and_then(|address| self.station.listen(address.as_ref())))
    }
}
