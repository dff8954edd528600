//! A service as a loop holds it: what it serves its clients with, and how far its life has come.
//!
//! It serves, then drains, then has stopped, and never goes back:
//!
//! * *Serving*: clients become links, or sessions.
//! * *Draining*: it has no listener and takes nobody in, whoever hands a client over. Its links end by
//!   themselves, or by RST when the time that they were given is over.
//! * *Stopped*: its last link and its last session have ended. The loop forgets it at that moment, and its id finds nothing
//!   any more.
//!
//! This file decides only; `serving.rs` does what is decided.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use crate::admission::Admission;
use crate::forward::{Forward, Limits, Parts, Places, Terms};
use crate::labels::Labels;
use crate::link::writers::Writers;
use crate::open::Opener;
use crate::relay::counters::Totals;
use crate::session::{Endpoint, EndpointService, SessionLimits};
use crate::table::Key;

/// Names a service of one loop for as long as that loop knows it, and never another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ServiceId(pub(crate) Key);

/// A state in the life of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceState {
    /// Its clients become links, or sessions.
    Serving,
    /// It takes nobody in, its sessions open no streams any more, and its links are left to end.
    Draining {
        /// The moment at which those that are left are ended; `None` if they may take as long as
        /// they like.
        until: Option<Instant>,
    },
    /// It has neither links nor sessions left, and will have none.
    Stopped,
}

impl ServiceState {
    /// The word for logs and lists.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Serving => "serving",
            Self::Draining { .. } => "draining",
            Self::Stopped => "stopped",
        }
    }
}

/// A service as it is at one moment.
#[derive(Debug, Clone)]
pub struct ServiceReport {
    /// Its id on the loop that was asked.
    pub id: ServiceId,
    /// Its name, and where it leads.
    pub labels: Arc<Labels>,
    /// The backend that opens its upstreams.
    pub backend: &'static str,
    /// The state of its life on that loop.
    pub state: ServiceState,
    /// The addresses that it listens on there, of those that IP has.
    pub addresses: Vec<SocketAddr>,
    /// Links that are alive there.
    pub links: usize,
    /// Sessions that are alive there, if it is an endpoint.
    pub sessions: usize,
    /// Its books, of all loops that share them.
    pub totals: Totals,
}

/// A service of one loop.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) serves: Serves,
    pub(crate) admission: Option<Box<dyn Admission>>,
    /// The terms of its next link.
    pub(crate) terms: Arc<Terms>,
    /// The turn at what its links share.
    pub(crate) writers: Writers,
    state: ServiceState,
    /// Links that are alive.
    links: usize,
    /// Sessions that are alive.
    sessions: usize,
}

/// A service that is to be added to a loop, or takes the place of one.
#[derive(Debug)]
pub enum NewService {
    /// Its clients become links.
    Forward(Forward),
    /// Its clients become sessions, whose streams become links.
    Endpoint(EndpointService),
}

impl From<Forward> for NewService {
    fn from(forward: Forward) -> Self {
        Self::Forward(forward)
    }
}

impl From<EndpointService> for NewService {
    fn from(endpoint: EndpointService) -> Self {
        Self::Endpoint(endpoint)
    }
}

/// The thing that clients of a service become.
#[derive(Debug)]
pub(crate) enum Serves {
    /// Links, whose upstreams this opens.
    Forward(Box<dyn Opener>),
    /// Sessions, whose streams become links.
    Endpoint {
        /// Makes them.
        endpoint: Box<dyn Endpoint>,
        /// What bounds each.
        limits: SessionLimits,
        /// The number of them that may be alive.
        places: Arc<Places>,
    },
}

impl Serves {
    /// The opener of upstreams, if clients become links.
    pub(crate) fn opener(&mut self) -> Option<&mut (dyn Opener + 'static)> {
        match self {
            Self::Forward(opener) => Some(opener.as_mut()),
            Self::Endpoint { .. } => None,
        }
    }
}

impl Service {
    /// A service that has just been added.
    pub(crate) fn new(service: NewService) -> Self {
        let (serves, admission, terms) = parts(service);
        let (writers, state) = (Writers::default(), ServiceState::Serving);
        Self { serves, admission, terms, writers, state, links: 0, sessions: 0 }
    }

    /// Links that are alive.
    pub(crate) fn links(&self) -> usize {
        self.links
    }

    /// All that there is to say of it.
    pub(crate) fn report(&self, id: ServiceId, addresses: Vec<SocketAddr>) -> ServiceReport {
        let Terms { labels, backend, counters, .. } = &*self.terms;
        ServiceReport {
            id,
            labels: Arc::clone(labels),
            backend,
            state: self.state,
            addresses,
            links: self.links,
            sessions: self.sessions,
            totals: counters.totals(),
        }
    }

    /// Serves the next clients as `service` says.
    pub(crate) fn replace(&mut self, service: NewService) {
        (self.serves, self.admission, self.terms) = parts(service);
    }

    /// Returns whether a client may become a link.
    pub(crate) fn admits(&self) -> bool {
        self.state == ServiceState::Serving
    }

    /// When the links that are left are ended.
    pub(crate) fn due(&self) -> Option<Instant> {
        match self.state {
            ServiceState::Draining { until } => until,
            ServiceState::Serving | ServiceState::Stopped => None,
        }
    }

    /// A link of it has begun.
    pub(crate) fn link_began(&mut self) {
        self.links += 1;
    }

    /// A link of it has ended.
    pub(crate) fn link_ended(&mut self) {
        self.links = self.links.saturating_sub(1);
    }

    /// A session of it has begun.
    pub(crate) fn session_began(&mut self) {
        self.sessions += 1;
    }

    /// A session of it has ended.
    pub(crate) fn session_ended(&mut self) {
        self.sessions = self.sessions.saturating_sub(1);
    }

    /// Begins to drain. One that drains already is given no more time than it had.
    pub(crate) fn retire(&mut self, until: Option<Instant>) {
        let until = match self.state {
            ServiceState::Serving => until,
            ServiceState::Draining { until: before } => before.into_iter().chain(until).min(),
            ServiceState::Stopped => return,
        };
        self.state = ServiceState::Draining { until };
    }

    /// Returns whether the links that are left are to be ended now, which is said once.
    pub(crate) fn is_due(&mut self, now: Instant) -> bool {
        let is_due = self.due().is_some_and(|due| due <= now);
        if is_due {
            self.state = ServiceState::Draining { until: None };
        }
        is_due
    }

    /// Comes to its end if nothing is left of it.
    pub(crate) fn stops(&mut self) -> bool {
        let stops = self.links == 0 && self.sessions == 0 && self.state != ServiceState::Serving;
        if stops {
            self.state = ServiceState::Stopped;
        }
        stops
    }
}

/// Takes a service apart: what it serves, who decides on its clients, what its links have of it.
fn parts(service: NewService) -> (Serves, Option<Box<dyn Admission>>, Arc<Terms>) {
    match service {
        NewService::Forward(forward) => {
            let Parts { opener, admission, terms } = forward.into_parts();
            (Serves::Forward(opener), admission, terms)
        }
        NewService::Endpoint(service) => {
            let EndpointService { labels, endpoint, admission, session, .. } = service;
            let EndpointService { sessions, places, counters, .. } = service;
            let (limits, policy) = (Limits::default(), Arc::default());
            let terms = Terms { labels, backend: "session", limits, places, counters, policy };
            let serves = Serves::Endpoint { endpoint, limits: session, places: sessions };
            (serves, admission, Arc::new(terms))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::open::testing::never;
    use proptest::prelude::*;
    use std::time::Duration;

    /// What can happen to a service.
    #[derive(Debug, Clone, Copy)]
    enum Event {
        Client,
        LinkEnds,
        Retired(Option<u64>),
        Seconds(u64),
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            3 => Just(Event::Client),
            3 => Just(Event::LinkEnds),
            1 => proptest::option::of(0..9u64).prop_map(Event::Retired),
            2 => (0..4u64).prop_map(Event::Seconds),
        ]
    }

    proptest! {
        #[test]
        fn a_life_goes_one_way_and_ends_with_the_last_link(
            events in proptest::collection::vec(event(), 0..60),
        ) {
            let mut service = Service::new(Forward::new(Labels::default(), never()).into());
            let mut now = Instant::now();
            let (mut links, mut retired, mut earliest) = (0, false, None::<Instant>);
            for event in events {
                match event {
                    Event::Client => {
                        prop_assert_eq!(service.admits(), !retired);
                        if service.admits() {
                            service.link_began();
                            links += 1;
                        }
                    }
                    Event::LinkEnds if links > 0 => {
                        service.link_ended();
                        links -= 1;
                    }
                    Event::LinkEnds => {}
                    Event::Retired(seconds) => {
                        let until = seconds.map(|seconds| now + Duration::from_secs(seconds));
                        earliest = earliest.into_iter().chain(until).min();
                        retired = true;
                        service.retire(until);
                    }
                    Event::Seconds(seconds) => now += Duration::from_secs(seconds),
                }
                // Said at its time, not before, and once.
                let is_due = earliest.is_some_and(|due| due <= now);
                prop_assert_eq!(service.is_due(now), is_due);
                earliest = earliest.filter(|_| !is_due);
                prop_assert_eq!(service.due(), earliest);
                let stops = service.stops();
                prop_assert_eq!(stops, retired && links == 0);
                prop_assert_eq!(service.state == ServiceState::Stopped, stops);
                if stops {
                    return Ok(());
                }
            }
        }
    }
}
