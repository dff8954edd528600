//! Accepting clients: pausing when a loop must, and resuming when it can.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use crate::admission::{Entrant, Entry, Reason};
use crate::forward::Terms;
use crate::labels::{Descriptors, Labels, LinkId, LinkRef};
use crate::lane::end::End;
use crate::link::arrival::Arrival;
use crate::link::policy::{Endings, WhenFull};
use crate::link::Link;
use crate::net::queues::{is_sized_at, NEAR};
use crate::observer::{Accepted, Trouble};
use crate::open::{OpenClass, Opener};
use crate::outcome::Outcome;
use crate::relay::acceptor::{Accept, Acceptor, Gate, ACCEPTS_PER_TURN, PAUSE_TICK};
use crate::relay::burst::Burst;
use crate::relay::service::Service;
use crate::table::Key;

use super::Relay;

/// Clients taken out of a listener's queue before it is closed: as many as fit into it.
const BACKLOG: usize = crate::net::listen::BACKLOG.unsigned_abs() as usize;

/// A burst is over when nobody has been accepted for this long.
const BURST_GAP: Duration = Duration::from_millis(5);

impl Relay {
    /// Accepts a few clients from each listener that has some.
    pub(super) fn accept_clients(&mut self) {
        for slot in 0..self.acceptors.slots() {
            if let Some(key) = self.acceptors.key_at(slot) {
                self.accept_from(key, ACCEPTS_PER_TURN);
            }
        }
        let now = self.now;
        self.end_bursts(|burst| burst.end <= now);
    }

    /// Ends the bursts that are over; false if none is.
    pub(super) fn end_bursts(&mut self, is_over: impl Fn(&Burst) -> bool) -> bool {
        let (before, services) = (self.bursts.len(), &mut self.services);
        self.bursts.retain(|burst| {
            let is_over = is_over(burst);
            if let Some(service) = services.get_mut(burst.service).filter(|_| is_over) {
                service.serves.opener().into_iter().for_each(Opener::end_burst);
            }
            !is_over
        });
        self.bursts.len() < before
    }

    /// Returns whether there may be a client in the queue of `acceptor`, and it may come in.
    pub(super) fn accepts_from(&self, acceptor: &Acceptor) -> bool {
        let Some(service) = self.services.get(acceptor.service) else { return false };
        let Terms { policy, places, .. } = &*service.terms;
        let has_room = policy.when_full == WhenFull::Refuse || places.free() > 0;
        acceptor.ready && self.gate == Gate::Open && has_room
    }

    fn accept_from(&mut self, key: Key, most: usize) {
        // What is made ready in advance may be what others need.
        let mut may_begin = true;
        for left in (1..=most).rev() {
            if !self.acceptors.get(key).is_some_and(|acceptor| self.accepts_from(acceptor)) {
                return;
            }
            let Some(acceptor) = self.acceptors.get_mut(key) else { return };
            match acceptor.accept() {
                Accept::Client(stream, client) => {
                    let (key, local) = (acceptor.service, acceptor.local);
                    let Some(service) = self.services.get_mut(key) else { return };
                    let arrival = Arrival::accepted(stream, local, client);
                    let Some(opener) = service.serves.opener() else {
                        self.begin_session(key, arrival);
                        continue;
                    };
                    let room = usize::try_from(service.terms.places.free()).unwrap_or(usize::MAX);
                    let end = self.now + BURST_GAP;
                    if let Some(on) = self.bursts.iter_mut().find(|on| on.service == key) {
                        on.end = end;
                    } else if acceptor.ready && may_begin && room > 1 {
                        opener.begin_burst(acceptor.as_fd(), left.min(room));
                        self.bursts.push(Burst { service: key, end });
                    }
                    self.admit_to(key, arrival);
                }
                Accept::Empty => {}
                Accept::Skip(error) => {
                    let Some(service) = self.services.get(acceptor.service) else { return };
                    let labels = &service.terms.labels;
                    self.observer.trouble(&Trouble::AcceptFailed { labels, error: &error });
                }
                Accept::Exhausted(error) => {
                    may_begin = false;
                    // What is only kept for later goes first.
                    let freed = self.pool.shed() | self.end_bursts(|_| true);
                    if !freed {
                        self.pause(&error);
                    }
                }
            }
        }
    }

    /// Makes a link of a downstream on the terms of its service.
    pub(super) fn admit_to(&mut self, key: Key, arrival: Arrival) {
        match self.services.get(key).map(|service| Arc::clone(&service.terms)) {
            Some(terms) => self.admit(key, terms, arrival),
            None => self.turn_away(arrival, Reason::Draining, None),
        }
    }

    /// Refuses a client. One of a service that has stopped has nobody left whose name could be told.
    pub(super) fn turn_away(&mut self, arrival: Arrival, reason: Reason, terms: Option<&Terms>) {
        let Arrival { conn, client, .. } = arrival;
        self.tell_refused(reason, client, terms);
        if terms.is_some_and(|terms| matches!(terms.policy.endings, Endings::Gentle(_))) {
            return conn.close(&mut self.sources);
        }
        let class = match reason {
            Reason::Client | Reason::Target => OpenClass::Forbidden,
            Reason::Full | Reason::Sessions | Reason::Streams => OpenClass::Exhausted,
            Reason::Draining | Reason::Unfit => OpenClass::Exhausted,
        };
        let outcome = Outcome::OpenFailed(class);
        conn.abort(outcome, Some(reason.in_words()), &mut self.sources);
    }

    /// Counts and tells that a client, or a stream of its session, was refused.
    pub(super) fn tell_refused(
        &mut self,
        reason: Reason,
        client: Option<SocketAddr>,
        terms: Option<&Terms>,
    ) {
        self.counters.link_rejected(reason);
        if let Some(Terms { labels, counters, .. }) = terms {
            counters.link_rejected(reason);
            self.observer.trouble(&Trouble::Refused { labels, client, reason });
        }
    }

    /// Makes a link of a downstream, or refuses it if the service drains, has no place left, or does
    /// not admit it.
    pub(super) fn admit(&mut self, key: Key, terms: Arc<Terms>, mut arrival: Arrival) {
        let Some(service) = self.services.get_mut(key).filter(|service| service.admits()) else {
            return self.turn_away(arrival, Reason::Draining, Some(&terms));
        };
        // Nobody would open the upstream of a downstream that is handed to an endpoint.
        if arrival.opener.is_none() && service.serves.opener().is_none() {
            return self.turn_away(arrival, Reason::Unfit, Some(&terms));
        }
        if !terms.places.take() {
            return self.turn_away(arrival, Reason::Full, Some(&terms));
        }
        // Of a session's client it was asked when that came.
        let entry = match arrival.session {
            Some(_) => Entry::Admit,
            None => entry(service, &arrival, &terms.labels),
        };
        if let Entry::Refuse(reason) = entry {
            terms.places.give_back();
            return self.turn_away(arrival, reason, Some(&terms));
        }
        service.link_began();
        self.counters.link_opened();
        terms.counters.link_opened();
        let id = LinkId::next();
        let (session, descriptors) = (arrival.session, Descriptors::default());
        let link = LinkRef { id, labels: &terms.labels, session, descriptors };
        self.observer.accepted(&Accepted { link, local: arrival.local, client: arrival.client });
        let now = self.clock.now();
        let own = arrival.opener.as_deref_mut();
        let Some(opener) = own.or_else(|| service.serves.opener()) else { return };
        let downstream = arrival.conn.source().and_then(End::descriptor);
        let mut attempt = opener.open(downstream.map(|source| source.fd));
        let accepted = if arrival.local.is_some_and(is_sized_at) { NEAR.total() } else { 0 };
        let grant = self.budget.grant(accepted + opener.queues());
        attempt.allow(grant.allowance(terms.limits.connect_timeout));
        let stream = arrival.conn.stream_of_session();
        let key = self.links.insert(|link| {
            let mut link = Link::new(link, id, key, terms, arrival, attempt, now);
            link.grant = grant;
            link
        });
        self.size_listeners();
        if let Some(stream) = stream {
            self.sources.attach(stream, key);
        }
        self.with_link(key, Link::start);
    }

    /// Makes the listeners hand on what queues there is room for now, if that has changed. Clients that
    /// are in their queues already have what was handed on then.
    pub(super) fn size_listeners(&mut self) {
        if let Some(queues) = self.budget.news() {
            self.acceptors.iter().for_each(|acceptor| acceptor.confine(queues));
        }
    }

    /// Opens the upstream once more with the descriptors of the reserve, so that a client that was
    /// accepted is served. No other client is accepted until the reserve is back.
    pub(super) fn open_from_reserve(&mut self, key: Key) {
        self.reserve.release();
        self.pool.shed();
        let Some(link) = self.links.get_mut(key) else { return };
        let Some(service) = self.services.get_mut(link.service) else { return };
        let mut own = link.opener.take();
        let Some(opener) = own.as_deref_mut().or_else(|| service.serves.opener()) else { return };
        let mut attempt = opener.open(link.downstream());
        let spent = self.now.saturating_duration_since(link.accepted_at);
        let left = link.terms.limits.connect_timeout.saturating_sub(spent);
        attempt.allow(link.grant.allowance(left));
        link.opener = own;
        self.with_link(key, |link, turn| link.start_again(attempt, turn));
        if let (Err(error), Gate::Open) = (self.reserve.refill(), self.gate) {
            self.pause(&error);
        }
    }

    /// Stops accepting.
    fn pause(&mut self, error: &io::Error) {
        // The kernel allocates the descriptor before it looks into the queue, so this may happen
        // with no client waiting; pausing is right all the same.
        self.end_bursts(|_| true);
        self.pool.shed();
        self.gate = Gate::Paused { since: self.now, next_try: self.now + PAUSE_TICK };
        self.counters.accept_paused();
        self.observer.trouble(&Trouble::AcceptPaused { error });
    }

    /// Accepts again if the reserve can be filled.
    pub(super) fn try_to_resume(&mut self) {
        let Gate::Paused { since, .. } = self.gate else { return };
        // Links have gone on meanwhile, and their pipes have come back: no idle pipe is to be what
        // the reserve lacks.
        self.pool.shed();
        if self.reserve.refill_with_one_to_spare().is_err() {
            return;
        }
        self.gate = Gate::Open;
        let paused = self.now.duration_since(since);
        self.observer.trouble(&Trouble::AcceptResumed { paused });
        for acceptor in self.acceptors.iter_mut() {
            acceptor.ready = true;
        }
    }

    /// Closes listeners, after taking in the clients whose handshake is complete: closing with
    /// them in the queue would reset them. This is the one moment at which a long queue holds the
    /// links up, because closing at once is promised, too.
    pub(super) fn close_acceptors(&mut self, is_meant: impl Fn(&Acceptor) -> bool) {
        self.try_to_resume();
        for key in self.acceptors.keys() {
            let Some(acceptor) = self.acceptors.get_mut(key).filter(|each| is_meant(each)) else {
                continue;
            };
            acceptor.ready = true;
            self.accept_from(key, BACKLOG);
        }
        self.drop_acceptors(is_meant);
    }
}

/// Asks who decides for a service whether a client may come in.
pub(super) fn entry(service: &mut Service, arrival: &Arrival, labels: &Labels) -> Entry {
    service.admission.as_mut().map_or(Entry::Admit, |admission| {
        let source = arrival.conn.source().and_then(End::descriptor).map(|end| end.fd);
        let Arrival { local, client, .. } = *arrival;
        admission.enters(&Entrant { source, local, client, labels })
    })
}
