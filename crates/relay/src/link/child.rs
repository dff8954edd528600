//! The child behind an upstream, as its link sees it.
//!
//! A child's standard output ends when the child ends, whether it did well or failed; only its
//! exit status tells a FIN from a failure. So the end of its output is held back until its verdict
//! is known, for a short grace: a child that closes its output and lives on is half-closed on
//! purpose. The other way round, a child that has ended while something it started still holds its
//! output gets the same grace.

use std::time::{Duration, Instant};

use crate::open::{Child, Verdict};

/// The time that the end of the output and the end of the child wait for each other, and that a
/// child that was asked to end is given before it is killed.
pub(crate) const GRACE: Duration = Duration::from_secs(1);

/// The time that a child may go on after everything has been delivered to it: time for its last input.
/// Nobody waits for it but its place among the links.
pub(crate) const FAREWELL: Duration = Duration::from_secs(10);

/// A child and what is known of it.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) child: Box<dyn Child>,
    verdict: Option<Verdict>,
    diagnostics_ready: bool,
    exit_ready: bool,
    /// When to stop waiting for the other end of the child.
    pub(crate) grace: Option<Instant>,
    /// When to stop waiting for the end of a child that neither reads nor writes any more.
    pub(crate) deaf_grace: Option<Instant>,
}

impl Watch {
    pub(crate) fn new(child: Box<dyn Child>) -> Self {
        let (diagnostics_ready, exit_ready) = (false, false);
        Self { child, verdict: None, diagnostics_ready, exit_ready, grace: None, deaf_grace: None }
    }

    pub(crate) fn note_exit(&mut self) {
        self.exit_ready = true;
    }

    pub(crate) fn note_diagnostics(&mut self) {
        self.diagnostics_ready = true;
    }

    /// How the child ended, if it has.
    pub(crate) fn verdict(&self) -> Option<&Verdict> {
        self.verdict.as_ref()
    }

    /// Takes in what the child has to say; true if there is more of it.
    pub(crate) fn attend(&mut self, now: Instant) -> bool {
        if self.diagnostics_ready {
            self.diagnostics_ready = self.child.absorb_diagnostics();
        }
        if self.exit_ready && self.verdict.is_none() {
            self.verdict = self.child.verdict();
            if self.verdict.is_some() {
                self.grace = Some(now + GRACE);
            }
        }
        self.diagnostics_ready
    }
}
