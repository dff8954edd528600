//! A forward: where links come from, how their upstreams are opened, and what limits they have.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Arc;
use std::time::Duration;

use crate::admission::Admission;
use crate::labels::Labels;
use crate::link::policy::LinkPolicy;
use crate::open::{Opener, DEFAULT_CONNECT_TIMEOUT};
use crate::relay::counters::Counters;

/// The limits of a forward's links. `None` means no limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Time limit for opening the upstream, all addresses of the target together.
    pub connect_timeout: Duration,
    /// A link on which no byte moves in either direction for this long is ended by RST.
    pub idle_timeout: Option<Duration>,
    /// The same for a link one side of which has ended its stream: half-closed links of peers that
    /// forgot them would otherwise stay for ever.
    pub linger: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connect_timeout: DEFAULT_CONNECT_TIMEOUT, idle_timeout: None, linger: None }
    }
}

/// A forward: how the clients of a service are served.
#[derive(Debug)]
pub struct Forward {
    /// The labels of its links: its name, and where it leads.
    pub labels: Arc<Labels>,
    /// Opens the upstream of each link.
    pub opener: Box<dyn Opener>,
    /// Decides who may have a link; without one everybody may.
    pub admission: Option<Box<dyn Admission>>,
    /// Time limits of each link.
    pub limits: Limits,
    /// The number of links that may be alive at once; shared between the loops that serve the
    /// forward.
    pub places: Arc<Places>,
    /// The books of the service; shared between the loops that serve it.
    pub counters: Arc<Counters>,
    /// The policy of its links, where it differs from what the relay usually does.
    pub policy: Arc<LinkPolicy>,
}

impl Forward {
    /// A forward without limits but the default ones.
    pub fn new(labels: impl Into<Arc<Labels>>, opener: Box<dyn Opener>) -> Self {
        Self {
            labels: labels.into(),
            opener,
            admission: None,
            limits: Limits::default(),
            places: Arc::new(Places::unlimited()),
            counters: Arc::default(),
            policy: Arc::default(),
        }
    }

    /// Takes it apart: what opens its upstreams, who decides on its clients, what its links have of it.
    pub(crate) fn into_parts(self) -> Parts {
        let Self { labels, opener, admission, limits, places, counters, policy } = self;
        let backend = opener.backend();
        let terms = Arc::new(Terms { labels, backend, limits, places, counters, policy });
        Parts { opener, admission, terms }
    }
}

/// A forward, taken apart.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) opener: Box<dyn Opener>,
    pub(crate) admission: Option<Box<dyn Admission>>,
    pub(crate) terms: Arc<Terms>,
}

/// The terms that a link was accepted on. They are its own until it ends, whatever becomes of the
/// service meanwhile.
#[derive(Debug)]
pub(crate) struct Terms {
    pub(crate) labels: Arc<Labels>,
    pub(crate) backend: &'static str,
    pub(crate) limits: Limits,
    pub(crate) places: Arc<Places>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) policy: Arc<LinkPolicy>,
}

/// The places for links that a forward has, shared by all loops that serve it.
#[derive(Debug)]
pub struct Places {
    limit: u32,
    taken: AtomicU32,
}

impl Places {
    /// Places for at most `limit` links at once.
    pub fn new(limit: u32) -> Self {
        Self { limit, taken: AtomicU32::new(0) }
    }

    /// As many links as the process has descriptors for.
    pub fn unlimited() -> Self {
        Self::new(u32::MAX)
    }

    /// Takes a place; false if all are taken.
    pub(crate) fn take(&self) -> bool {
        let grown = self.taken.fetch_add(1, Ordering::Relaxed);
        if grown >= self.limit {
            self.taken.fetch_sub(1, Ordering::Relaxed);
            return false;
        }
        true
    }

    /// Counts those that are left; another loop may take them first.
    pub(crate) fn free(&self) -> u32 {
        self.limit.saturating_sub(self.taken.load(Ordering::Relaxed))
    }

    /// Gives a place back.
    pub(crate) fn give_back(&self) {
        self.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_limited_and_come_back() {
        let places = Places::new(2);
        assert!(places.take() && places.take());
        assert!(!places.take());
        assert_eq!(places.free(), 0);
        places.give_back();
        assert_eq!(places.free(), 1);
        assert!(places.take());
    }
}
