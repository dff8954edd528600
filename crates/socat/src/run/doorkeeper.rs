//! The clients that a listener for many lets in.
//!
//! socat tells by itself whom it refuses, and why; to the relay it is one of two reasons.

use nsplice_relay::{Admission, Entrant, Entry};

use crate::endpoint;

/// Lets clients in.
#[derive(Debug)]
pub(super) struct Doorkeeper(endpoint::Admission);

impl Doorkeeper {
    /// Lets in whom `admission` admits.
    pub(super) fn new(admission: endpoint::Admission) -> Self {
        Self(admission)
    }
}

impl Admission for Doorkeeper {
    fn enters(&mut self, client: &Entrant<'_>) -> Entry {
        client.source.map_or(Entry::Admit, |socket| self.0.entry(socket))
    }
}
