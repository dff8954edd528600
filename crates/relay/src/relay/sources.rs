//! The work of a loop for its sources of events, whatever their kind: it registers them, calls them,
//! carries out their orders, flushes them, and lets them go.

use std::io;

use crate::lane::mode::COPY_BUFFER;
use crate::link::arrival::Arrival;
use crate::link::conn::Conn;
use crate::link::Next;
use crate::net::interest::{forget, register, reregister};
use crate::outcome::Outcome;
use crate::source::sources::{Kind, Registration};
use crate::source::{EventSource, Need, Order, SourceId, SourceTurn};
use crate::table::{Cause, Key, Port};

use super::error::RelayError;
use super::Relay;

impl Relay {
    /// Adds a source of events.
    ///
    /// # Errors
    /// When its descriptor cannot be watched, or when the loop drains. Nothing is left of the source
    /// then.
    pub fn add_source(&mut self, source: Box<dyn EventSource>) -> Result<SourceId, RelayError> {
        if self.drains {
            return Err(RelayError::Draining);
        }
        let added = self.register_source(|_| Kind::Owned(source));
        let key = added.map_err(RelayError::when("wait for a descriptor"))?;
        self.watch_source(key);
        Ok(SourceId(key))
    }

    /// Removes a source; false if there is none of that name any more.
    pub(super) fn remove_source(&mut self, source: SourceId) -> bool {
        let is_there = self.sources.table.get(source.0).is_some();
        self.forget_source(source.0);
        is_there
    }

    /// Adds the source that `make` makes for its key, and begins to watch its descriptor.
    pub(super) fn register_source(&mut self, make: impl FnOnce(Key) -> Kind) -> io::Result<Key> {
        let key = self.sources.table.insert(|key| Registration::new(make(key)));
        let Some(registration) = self.sources.table.get(key) else { return Ok(key) };
        let registered = match registration.source().descriptor() {
            Some(descriptor) => {
                let token = Cause::Source(key).token();
                register(self.poll.registry(), descriptor, token, registration.watched)
            }
            None => Ok(()),
        };
        if let Err(error) = registered {
            self.sources.table.remove(key);
            return Err(error);
        }
        Ok(key)
    }

    /// Calls the sources that something was reported of, and those that have asked for it.
    pub(super) fn run_sources(&mut self) {
        for (key, wake) in self.sources.take_queued() {
            self.call_source(key, |source, turn| source.wake(wake, turn));
        }
    }

    /// Calls the sources whose deadline has come.
    pub(super) fn expire_sources(&mut self) {
        while let Some(key) = self.source_timers.pop(self.now) {
            let Some(registration) = self.sources.table.get_mut(key) else { continue };
            registration.deadline = None;
            let deadline = registration.source().deadline();
            if deadline.is_some_and(|deadline| deadline <= self.now) {
                self.call_source(key, EventSource::expire);
            } else {
                // It has moved on.
                self.watch_source(key);
            }
        }
    }

    /// Has sources drain: those of a service, or the loop's owner's.
    pub(super) fn drain_sources(&mut self, service: Option<Key>) {
        for key in self.sources.of(service) {
            self.call_source(key, EventSource::drain);
        }
    }

    /// Flushes the sources that were called in this turn, or that links have had to do with, and looks
    /// what they wait for.
    pub(super) fn flush_sources(&mut self) {
        for key in self.sources.take_touched() {
            self.lend(key, |registration, turn| registration.source_mut().flush(turn));
            self.watch_source(key);
        }
    }

    /// Lends a source the turn for one call, and does what it then wants.
    fn call_source(
        &mut self,
        key: Key,
        call: impl FnOnce(&mut (dyn EventSource + 'static), &mut SourceTurn<'_>) -> Need,
    ) {
        self.lend(key, |registration, turn| call(registration.source_mut(), turn));
        // It may have something to send, and its deadline may have moved.
        self.sources.touch(key);
    }

    /// The same, without another look at the end of the turn.
    pub(super) fn lend(
        &mut self,
        key: Key,
        call: impl FnOnce(&mut Registration, &mut SourceTurn<'_>) -> Need,
    ) {
        let Some(registration) = self.sources.table.get_mut(key) else { return };
        let mut turn = SourceTurn {
            now: self.now,
            buffer: &mut self.buffer[..COPY_BUFFER],
            spares: &mut self.sources.spares,
            orders: &mut self.orders,
        };
        match call(registration, &mut turn) {
            Need::Wait => {}
            Need::Again => self.sources.queue(key),
            Need::Over => self.forget_source(key),
        }
        while let Some(order) = self.orders.pop_front() {
            self.carry_out(order);
        }
    }

    /// Has a source watched for what it wants now, and called at its deadline.
    fn watch_source(&mut self, key: Key) {
        let Some(registration) = self.sources.table.get_mut(key) else { return };
        let (source, before) = (registration.source(), registration.watched);
        let (wanted, deadline) = (source.watched(), source.deadline());
        let watched = match source.descriptor().filter(|_| wanted != before) {
            Some(descriptor) => {
                let token = Cause::Source(key).token();
                reregister(self.poll.registry(), descriptor, token, wanted)
            }
            None => Ok(()),
        };
        if watched.is_ok() {
            registration.watched = wanted;
        }
        self.source_timers.arrange(key, &mut registration.deadline, deadline);
        if let Err(error) = watched {
            self.call_source(key, |source, turn| source.unwatched(&error, turn));
        }
    }

    /// Takes a source out of the books.
    fn forget_source(&mut self, key: Key) {
        let Some(mut registration) = self.sources.table.remove(key) else { return };
        self.source_timers.arrange(key, &mut registration.deadline, None);
        // Others may hold it, too, and closing ours would then not end the waiting.
        if let Some(descriptor) = registration.source().descriptor() {
            forget(self.poll.registry(), descriptor);
        }
        match registration.kind {
            Kind::Session(seat) => self.tell_of_session(*seat),
            Kind::Owned(source) => drop(source),
        }
        self.try_to_resume();
    }

    /// Lets all sources of the loop's owner go.
    pub(super) fn forget_owned(&mut self) {
        for key in self.sources.of(None) {
            self.forget_source(key);
        }
    }

    fn carry_out(&mut self, order: Order) {
        match order {
            Order::Open(stream, new) => self.admit_stream(stream, *new),
            Order::Refuse(session, reason) => self.refuse_stream(session, reason),
            Order::Note(link, wake) => self.note_link(link, Port::DownSource, wake),
            // What cannot even be asked for its kind is closed, and that is all there is to do.
            Order::Admit(service, downstream) => {
                if let Ok(conn) = Conn::handed_over(downstream) {
                    self.admit_to(service.0, Arrival::handed_over(conn));
                }
            }
            Order::Report => {
                for key in self.links.keys() {
                    let Some(link) = self.links.get_mut(key) else { continue };
                    let [up, down] = link.carried();
                    self.observer.carrying(link.names(), up, down);
                }
                self.observer.reported();
            }
            Order::EndLetGo => {
                for key in self.links.keys() {
                    self.with_link(key, |link, _| {
                        let ends = link.is_let_go() && !link.is_closing();
                        if ends {
                            Next::End(Outcome::Stopped)
                        } else {
                            Next::Wait
                        }
                    });
                }
            }
            Order::DrainThen(then) => {
                self.drain(None);
                then(self.links.len());
            }
            Order::Stop => self.stop(),
        }
    }
}
