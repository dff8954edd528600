//! A burst: clients that come fast.

use std::time::Instant;

use crate::table::Key;

/// Clients of a service that come fast, by whichever of its listeners.
#[derive(Debug)]
pub(super) struct Burst {
    pub(super) service: Key,
    /// When it is over, if nobody else comes.
    pub(super) end: Instant,
}
