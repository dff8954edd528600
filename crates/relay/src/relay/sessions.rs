//! The work of a loop for sessions alone: it makes them of clients, makes links of their streams, ends
//! them, and tells of their lives.
//!
//! A session has its turn before the links have theirs, so that what its client has sent is passed on
//! in the same turn, and is flushed after them, so that what they have written leaves in one call.

use std::sync::Arc;

use crate::admission::{Entry, Reason};
use crate::forward::Terms;
use crate::glimpse::SessionGlimpse;
use crate::labels::SessionId;
use crate::link::arrival::{Arrival, Origin};
use crate::link::conn::Conn;
use crate::observer::SessionRecord;
use crate::outcome::Outcome;
use crate::session::seat::{Seat, SessionTerms};
use crate::session::{Client, NewStream, StreamRef};
use crate::source::sources::Kind;
use crate::source::Need;
use crate::table::Key;

use super::accept::entry;
use super::service::{Serves, Service};
use super::Relay;

impl Relay {
    /// Makes a session of a client of an endpoint, or refuses it if the endpoint drains, has no place
    /// left for a session, or does not admit it.
    pub(super) fn begin_session(&mut self, key: Key, arrival: Arrival) {
        let Some(service) = self.services.get_mut(key).filter(|service| service.admits()) else {
            return self.turn_away(arrival, Reason::Draining, None);
        };
        let links = Arc::clone(&service.terms);
        let Serves::Endpoint { limits, places, .. } = &service.serves else { return };
        let terms =
            SessionTerms { links: Arc::clone(&links), limits: *limits, places: Arc::clone(places) };
        if !terms.places.take() {
            return self.turn_away(arrival, Reason::Sessions, Some(&links));
        }
        let client = Client { local: arrival.local, address: arrival.client };
        let protocol = match (entry(service, &arrival, &links.labels), &mut service.serves) {
            (Entry::Refuse(reason), _) => Err(reason),
            (Entry::Admit, Serves::Endpoint { endpoint, .. }) => endpoint.accept(&client),
            (Entry::Admit, Serves::Forward(_)) => Err(Reason::Unfit),
        };
        let (protocol, socket) = match (protocol, arrival) {
            (Ok(protocol), Arrival { conn: Conn::Socket(socket, _), .. }) => (protocol, socket),
            (protocol, arrival) => {
                terms.places.give_back();
                let reason = protocol.err().unwrap_or(Reason::Unfit);
                return self.turn_away(arrival, reason, Some(&links));
            }
        };
        let (id, now) = (SessionId::next(), self.now);
        let begun = self.register_source(|source| {
            let seat = Seat::new((source, id, key), terms, client, socket, protocol, now);
            Kind::Session(Box::new(seat))
        });
        let source = match begun {
            Ok(source) => source,
            // Its socket is closed with it: no descriptor was left to watch it by.
            Err(_) => return self.tell_refused(Reason::Unfit, client.address, Some(&links)),
        };
        self.services.get_mut(key).into_iter().for_each(Service::session_began);
        for counters in [&*self.counters, &*links.counters] {
            counters.session_opened();
        }
        if let Some(seat) = self.sources.table.session(source) {
            self.observer.session_began(&seat.names());
        }
        // Most clients speak first and have spoken by now.
        self.sources.queue(source);
    }

    /// The sessions that are alive.
    pub(super) fn session_glimpses(&self) -> Vec<SessionGlimpse> {
        let seats = self.sources.table.iter().filter_map(|each| each.session());
        seats.map(|seat| seat.glimpse(self.now)).collect()
    }

    /// Ends the session that is named, if it is one of this loop's.
    pub(super) fn end_session_by_command(&mut self, id: SessionId, detail: &str) -> bool {
        let is_meant = |key: &Key| {
            let seat = self.sources.table.get(*key).and_then(|each| each.session());
            seat.is_some_and(|seat| seat.id == id)
        };
        let Some(key) = self.sources.table.keys().into_iter().find(is_meant) else { return false };
        self.end_session(key, Outcome::Stopped, Some(detail.to_owned()));
        true
    }

    /// Ends sessions; links of their streams end by themselves after that, if they have not been ended.
    pub(super) fn end_sessions(&mut self, outcome: Outcome, is_meant: impl Fn(Key) -> bool) {
        for key in self.sources.table.keys() {
            let service = self.sources.table.get(key).and_then(|each| each.service());
            if service.is_some_and(&is_meant) {
                self.end_session(key, outcome, None);
            }
        }
    }

    fn end_session(&mut self, key: Key, outcome: Outcome, detail: Option<String>) {
        self.lend(key, |registration, turn| {
            if let Kind::Session(seat) = &mut registration.kind {
                seat.end((outcome, detail), turn);
            }
            Need::Wait
        });
        self.sources.touch(key);
    }

    /// Makes a link of a stream.
    pub(super) fn admit_stream(&mut self, at: StreamRef, new: NewStream) {
        let Some(seat) = self.sources.table.session(at.session) else { return };
        let (key, session, client) = (seat.service, Some(seat.id), seat.client.address);
        let of_session = &seat.terms.links;
        let NewStream { opener, limits, labels, .. } = new;
        let terms = Terms {
            labels: labels.unwrap_or_else(|| Arc::clone(&of_session.labels)),
            backend: opener.backend(),
            limits,
            places: Arc::clone(&of_session.places),
            counters: Arc::clone(&of_session.counters),
            policy: Arc::clone(&of_session.policy),
        };
        let (conn, opener) = (Conn::Stream(at), Some(opener));
        let origin = Origin::Ours;
        let arrival = Arrival { conn, local: None, client, session, origin, opener };
        self.admit(key, Arc::new(terms), arrival);
    }

    /// Counts and tells that a stream of a session was not opened.
    pub(super) fn refuse_stream(&mut self, session: Key, reason: Reason) {
        let Some(seat) = self.sources.table.session(session) else { return };
        let (terms, client) = (Arc::clone(&seat.terms.links), seat.client.address);
        self.tell_refused(reason, client, Some(&terms));
    }

    /// A session is over, and nothing is left of it: tells of its life.
    pub(super) fn tell_of_session(&mut self, seat: Seat) {
        for counters in [&*self.counters, &*seat.terms.links.counters] {
            counters.session_ended();
        }
        seat.terms.places.give_back();
        if let Some((outcome, detail)) = &seat.outcome {
            let [up, down] = seat.streams.carried();
            self.observer.session_ended(&SessionRecord {
                session: seat.names(),
                outcome: *outcome,
                detail: detail.as_deref(),
                streams: seat.streams.opened(),
                up,
                down,
                duration: self.clock.now().saturating_duration_since(seat.began),
            });
        }
        let service = seat.service;
        drop(seat);
        self.services.get_mut(service).into_iter().for_each(Service::session_ended);
        self.forget_if_over(service);
    }
}
