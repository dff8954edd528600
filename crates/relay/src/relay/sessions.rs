//! What a loop does for sessions only: it makes them of clients, makes links of their streams, ends
//! them, and tells of their lives.
//!
//! A session has its turn before the links have theirs, so that what its client has sent is passed on
//! in the same turn, and is flushed after them, so that what they have written leaves in one call.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use crate::forward::Terms;
use crate::link::arrival::{Arrival, Origin};
use crate::link::conn::Conn;
use crate::net::farewell::abort;
use crate::observer::SessionRecord;
use crate::outcome::Outcome;
use crate::session::seat::Seat;
use crate::session::{Client, NewStream, StreamRef};
use crate::source::sources::Kind;
use crate::source::Need;
use crate::table::Key;

use super::service::{Serves, Service};
use super::Relay;

impl Relay {
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
        let begun = self.register_source(|key| {
            Kind::Session(Box::new(Seat::new(key, service, address, socket, protocol, limits, now)))
        });
        let Ok(key) = begun else { return };
        // Most clients speak first and have spoken by now.
        self.sources.queue(key);
        self.services.get_mut(service).into_iter().for_each(Service::session_began);
        self.counters.session_opened();
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

    /// A session is over, and nothing is left of it: tells of its life.
    pub(super) fn tell_of_session(&mut self, seat: Seat) {
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
        let service = seat.service;
        drop(seat);
        self.services.get_mut(service).into_iter().for_each(Service::session_ended);
        self.forget_if_over(service);
    }
}
