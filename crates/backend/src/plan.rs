//! A plan: how the upstreams of one destination will be opened, settled at start.
//!
//! Whatever can be wrong at start is found at start: words that do not fit together, a target that
//! is not there, a missing privilege, a missing tool. In this order, as the kubelet looks at the
//! container first and for its tools later.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use nsplice_relay::Opener;
use nsplice_runtime::Identity;
use nsplice_sys::Pool;

use crate::choice::Choice;
use crate::error::BackendError;
use crate::expected::Expected;
use crate::options::Options;
use crate::patient::{Awaited, Patient};
use crate::settled::Settled;
use crate::target::destination::Destination;

/// A plan: the way in which the upstreams of one destination are opened.
#[derive(Debug)]
pub struct Plan(Way);

#[derive(Debug)]
enum Way {
    Settled(Arc<Settled>),
    Expected(Arc<Expected>),
}

impl From<Arc<Settled>> for Plan {
    /// The plan for a destination that has been found.
    fn from(settled: Arc<Settled>) -> Self {
        Self(Way::Settled(settled))
    }
}

impl From<Arc<Expected>> for Plan {
    /// A plan for a destination that may be missing: it is looked for as links want it.
    fn from(expected: Arc<Expected>) -> Self {
        Self(Way::Expected(expected))
    }
}

impl Plan {
    /// Looks `destination` up, checks permission and finds tools. Blocks for as long as runtimes take
    /// to answer, if the target is a container. What openings have to wait for is asked by the threads
    /// of `pool`.
    ///
    /// # Errors
    /// Words that do not fit together, or whatever is missing: the target, a permission, a tool.
    pub fn prepare(
        destination: &Destination,
        choice: Choice,
        options: &Options,
        pool: &Pool,
    ) -> Result<Self, BackendError> {
        let settled = Settled::prepare(destination, choice, options, pool)?;
        Ok(Self(Way::Settled(Arc::new(settled))))
    }

    /// Returns what becomes readable when the target has ended and will never be there again: the
    /// pidfd of a process. `None` for what may come back.
    ///
    /// # Errors
    /// When the pidfd cannot be duplicated.
    pub fn end(&self) -> io::Result<Option<OwnedFd>> {
        match &self.0 {
            Way::Settled(settled) => settled.end(),
            Way::Expected(_) => Ok(None),
        }
    }

    /// Returns an opener for one loop. What it starts lives no longer than the thread that drives
    /// it.
    ///
    /// # Errors
    /// None today.
    pub fn opener(&self) -> Result<Box<dyn Opener>, BackendError> {
        Ok(match &self.0 {
            Way::Settled(settled) => settled.opener(),
            Way::Expected(expected) => {
                Box::new(Patient::new(Awaited::Expected(Arc::clone(expected))))
            }
        })
    }

    /// The backend that was settled on: `setns`, `external` or `dial`; or the choice, until there is a
    /// target to settle it for.
    pub fn backend(&self) -> &'static str {
        match &self.0 {
            Way::Settled(settled) => settled.backend(),
            Way::Expected(expected) => expected.backend(),
        }
    }

    /// Returns the network namespace that the target was in when the plan was made; `None` for a
    /// target without one, and where we may not know.
    pub fn identity(&self) -> Option<Identity> {
        match &self.0 {
            Way::Settled(settled) => settled.identity(),
            Way::Expected(_) => None,
        }
    }
}
