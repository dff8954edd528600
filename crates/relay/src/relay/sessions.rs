//! What a loop does for its sessions: it makes them of clients, gives them turns, makes links of their
//! streams, flushes them, and forgets them.
//!
//! A session has its turn before the links have theirs, so that what its client has sent is passed on
//! in the same turn, and is flushed after them, so that what they have written leaves in one call.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use crate::forward::Terms;
use crate::lane::mode::COPY_BUFFER;
use crate::link::arrival::{Arrival, Origin};
use crate::link::conn::Conn;
use crate::net::farewell::abort;
use crate::net::readiness::Ready;
use crate::observer::SessionRecord;
use crate::outcome::Outcome;
use crate::session::seat::{Need, Seat};
use crate::session::sessions::StreamRef;
use crate::session::{Client, NewStream};
use crate::table::{Key, Port};

use super::service::{Serves, Service};
use super::Relay;

impl Relay {
    /// Returns whether a session has something to do without being told of an event.
    pub(super) fn sessions_go_on(&self) -> bool {
        !self.session_turns.is_empty() || self.sessions.are_touched()
    }

    /// Makes a session of a client of an endpoint, or closes it if the endpoint wants none.
    pub(super) fn begin_session(
        &mut self,
        service: Key,
        socket: OwnedFd,
        local: Option<SocketAddr>,
        address: Option<SocketAddr>,
    ) {
        let Some(serving) = self.services.get_mut(service).filter(|service| service.admits())
        else {
            abort(&socket);
            return;
        };
        let Serves::Endpoint(endpoint, limits) = &mut serving.serves else { return };
        let Some(protocol) = endpoint.accept(&Client { local, address }) else { return };
        let (limits, now) = (*limits, self.now);
        let key = self
            .sessions
            .seats
            .insert(|key| Seat::new(key, service, address, socket, protocol, limits, now));
        serving.session_began();
        self.counters.session_opened();
        let started = match self.sessions.seats.get_mut(key) {
            Some(seat) => seat.start(self.poll.registry()),
            None => return,
        };
        match started {
            Ok(()) => self.queue_session(key),
            Err(error) => {
                let end = Outcome::Failed(crate::outcome::Side::Downstream);
                self.after_session_turn(key, Need::End(end, Some(nsplice_sys::describe(&error))));
            }
        }
    }

    /// Takes in what was reported of the socket of a session.
    pub(super) fn note_session(&mut self, key: Key, ready: Ready) {
        let Some(seat) = self.sessions.seats.get_mut(key) else { return };
        seat.note(ready);
        self.sessions.touch(key);
        self.queue_session(key);
    }

    /// Gives a session a turn, if it has a use for one.
    fn queue_session(&mut self, key: Key) {
        let Some(seat) = self.sessions.seats.get_mut(key) else { return };
        if seat.wants_turn() && !std::mem::replace(&mut seat.queued, true) {
            self.session_turns.push_back(key);
        }
    }

    /// Gives each session that has something to do a turn.
    pub(super) fn run_sessions(&mut self) {
        for _ in 0..self.session_turns.len() {
            let Some(key) = self.session_turns.pop_front() else { break };
            let Some(seat) = self.sessions.seats.get_mut(key) else { continue };
            seat.queued = false;
            let buffer = &mut self.buffer[..COPY_BUFFER];
            let need = seat.turn(buffer, self.now, &mut self.sessions.spares);
            self.after_session_turn(key, need);
        }
    }

    /// Does what sessions are to do by the clock.
    pub(super) fn expire_sessions(&mut self) {
        while let Some(key) = self.session_timers.pop(self.now) {
            let Some(seat) = self.sessions.seats.get_mut(key) else { continue };
            seat.deadline = None;
            let need = seat.expire(self.now, &mut self.sessions.spares);
            self.after_session_turn(key, need);
        }
    }

    fn after_session_turn(&mut self, key: Key, need: Need) {
        match need {
            Need::Wait => {}
            Need::Again => self.queue_session(key),
            Need::End(outcome, detail) => self.end_session(key, outcome, detail),
        }
        let opened = self.sessions.seats.get_mut(key).map(Seat::take_opened);
        for (stream, new) in opened.into_iter().flatten() {
            self.admit_stream(StreamRef { session: key, stream }, new);
        }
        self.tell_links(key);
        // It may have put something into its outbox, and its deadline may have moved.
        self.sessions.touch(key);
    }

    fn end_session(&mut self, key: Key, outcome: Outcome, detail: Option<String>) {
        if let Some(seat) = self.sessions.seats.get_mut(key) {
            seat.end((outcome, detail), self.now, &mut self.sessions.spares);
            self.sessions.touch(key);
        }
    }

    /// Makes a link of a stream.
    fn admit_stream(&mut self, at: StreamRef, new: NewStream) {
        let Some(seat) = self.sessions.seats.get(at.session) else { return };
        let (key, client) = (seat.service, seat.client);
        let Some(service) = self.services.get(key) else { return };
        let NewStream { opener, limits, labels, .. } = new;
        let terms = Terms {
            labels: labels.unwrap_or_else(|| Arc::clone(&service.terms.labels)),
            backend: opener.backend(),
            limits,
            places: Arc::clone(&service.terms.places),
            counters: Arc::clone(&service.terms.counters),
            policy: Arc::clone(&service.terms.policy),
        };
        let conn = Conn::Stream(at);
        let arrival =
            Arrival { conn, local: None, client, origin: Origin::Ours, opener: Some(opener) };
        self.admit(key, Arc::new(terms), arrival);
    }

    /// Tells the links of a session what has become of their streams.
    fn tell_links(&mut self, key: Key) {
        let Some(seat) = self.sessions.seats.get_mut(key) else { return };
        for (key, ready) in seat.take_news() {
            let Some(link) = self.links.get_mut(key) else { continue };
            link.note(Port::DownSource, ready);
            if !std::mem::replace(&mut link.queued, true) {
                self.ready.push_back(key);
            }
        }
    }

    /// Flushes the sessions that links or their clients have had to do with in this turn.
    pub(super) fn flush_sessions(&mut self) {
        for key in self.sessions.take_touched() {
            let Some(seat) = self.sessions.seats.get_mut(key) else { continue };
            match seat.flush(self.poll.registry(), &mut self.sessions.spares) {
                Need::Wait => {}
                Need::Again => self.sessions.touch(key),
                Need::End(outcome, detail) => self.end_session(key, outcome, detail),
            }
            self.tell_links(key);
            self.queue_session(key);
            let Some(seat) = self.sessions.seats.get_mut(key) else { continue };
            let buffer = &mut self.buffer[..COPY_BUFFER];
            seat.leave(self.poll.registry(), buffer, self.now, &mut self.sessions.spares);
            let wanted = seat.wanted_deadline();
            self.session_timers.arrange(key, &mut seat.deadline, wanted);
            if seat.is_empty() {
                self.forget_session(key);
            }
        }
    }

    /// Takes a session out of the books and tells of its life.
    fn forget_session(&mut self, key: Key) {
        let Some(mut seat) = self.sessions.seats.remove(key) else { return };
        self.session_timers.arrange(key, &mut seat.deadline, None);
        self.counters.session_ended();
        if let (Some(service), Some((outcome, detail))) =
            (self.services.get(seat.service), &seat.outcome)
        {
            self.observer.session_ended(&SessionRecord {
                endpoint: &service.terms.labels,
                client: seat.client,
                outcome: *outcome,
                detail: detail.as_deref(),
                duration: self.clock.now().saturating_duration_since(seat.began),
            });
        }
        self.services.get_mut(seat.service).into_iter().for_each(Service::session_ended);
        self.forget_if_over(seat.service);
        self.try_to_resume();
    }

    /// Has the sessions of a service open no streams any more, and end with their last one.
    pub(super) fn drain_sessions(&mut self, service: Key) {
        for key in self.sessions.seats.keys() {
            let Some(seat) = self.sessions.seats.get_mut(key) else { continue };
            if seat.service == service {
                seat.drain(&mut self.sessions.spares);
                self.sessions.touch(key);
            }
        }
    }

    /// Ends sessions; links of their streams end by themselves after that, if they have not been ended.
    pub(super) fn end_sessions(&mut self, outcome: Outcome, is_meant: impl Fn(Key) -> bool) {
        for key in self.sessions.seats.keys() {
            if self.sessions.seats.get(key).is_some_and(|seat| is_meant(seat.service)) {
                self.end_session(key, outcome, None);
                self.tell_links(key);
            }
        }
    }
}
