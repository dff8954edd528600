//! The names of a link, and of a session: an identity, labels that say what it is about, and the numbers of its descriptors.
//!
//! Whatever is told of a link, in a log, a list or a metric, is told under these names.

use std::fmt;
use std::num::ParseIntError;
use std::os::fd::RawFd;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

/// Makes a kind of identity: a number that nothing else of this process has or will have, whichever
/// loop it is on.
macro_rules! identity {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u64);

        impl $name {
            /// The next identity.
            pub(crate) fn next() -> Self {
                Self(NEXT.fetch_add(1, Ordering::Relaxed))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIntError;

            /// Reads an identity as it is printed.
            fn from_str(text: &str) -> Result<Self, ParseIntError> {
                text.parse().map(Self)
            }
        }
    };
}

/// The next number. Only that it differs from all others counts, so no order is asked for.
static NEXT: AtomicU64 = AtomicU64::new(1);

identity! {
    /// The identity of a link: a number that no other link, and no session, of this process has or will
    /// have, whichever loop it is on.
    LinkId
}

identity! {
    /// The identity of a session: a number that no other session, and no link, of this process has or
    /// will have, whichever loop it is on.
    SessionId
}

/// Labels of a link. The service's are there from the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels {
    /// The name of the service that accepted it.
    pub service: Arc<str>,
    /// The target, in the operator's words.
    pub target: Arc<str>,
    /// What a look-up has found out of the target, if there was one and it has ended.
    pub found: Option<Arc<Found>>,
}

/// The findings of a look-up about a target. Where there is no such thing it is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// The name of the pod.
    pub pod: Option<Arc<str>>,
    /// The Kubernetes namespace of that pod.
    pub namespace: Option<Arc<str>>,
    /// The name or id of the container.
    pub container: Option<Arc<str>>,
    /// The container's runtime.
    pub runtime: Option<Arc<str>>,
}

impl Labels {
    /// Labels of the links of a service, as far as they are known before any of them is opened.
    pub fn new(service: impl Into<Arc<str>>, target: impl Into<Arc<str>>) -> Self {
        Self { service: service.into(), target: target.into(), found: None }
    }

    /// The same, and what has been found out of the target.
    pub(crate) fn with(&self, found: Arc<Found>) -> Self {
        Self { found: Some(found), ..self.clone() }
    }
}

/// A link by its names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkRef<'a> {
    /// Its identity.
    pub id: LinkId,
    /// Its labels.
    pub labels: &'a Labels,
    /// The session one of whose streams is its downstream, if there is one.
    pub session: Option<SessionId>,
    /// The numbers of its descriptors, from the opening of its upstream on.
    pub descriptors: Descriptors,
}

/// The numbers of the descriptors of a link, for messages that print them: what each side is read from
/// and written to, indexed by [`crate::Side`]. A stream of a session has none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Descriptors {
    /// The descriptor that each side is read from.
    pub sources: [Option<RawFd>; 2],
    /// The descriptor that each side is written to.
    pub sinks: [Option<RawFd>; 2],
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::thread;

    #[test]
    fn identities_differ_on_all_threads_and_are_read_as_they_are_printed() {
        let many = || (0..10_000).map(|_| LinkId::next()).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| thread::spawn(many)).collect();
        let all = threads.into_iter().flat_map(|thread| thread.join().unwrap());
        let all: HashSet<_> = all.collect();
        assert_eq!(all.len(), 40_000);
        assert!(all.iter().all(|id| id.to_string().parse() == Ok(*id)));
    }
}
