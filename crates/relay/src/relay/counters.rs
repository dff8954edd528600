//! The books of a loop, and of a service: counters that other threads may read while links move.
//!
//! A loop has its own; those of a service are shared by the loops that serve it. Only sums are asked
//! of them and nothing else is decided by them, so relaxed atomics are enough, and what is read while
//! links move may be a moment apart. Bytes count as they move. At rest the books balance: `opened` is
//! the sum of all outcomes, and on clean links what was read was written.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::admission::Reason;
use crate::lane::traffic::Traffic;
use crate::outcome::{Outcome, Side};

/// The counters of a loop, or of a service.
#[derive(Debug, Default)]
pub struct Counters {
    opened: AtomicU64,
    rejected: AtomicU64,
    refused: [AtomicU64; Reason::ALL.len()],
    ended: [AtomicU64; Outcome::ALL.len()],
    up: Bytes,
    down: Bytes,
    accept_pauses: AtomicU64,
    marks_raised: AtomicU64,
    sessions_opened: AtomicU64,
    sessions_ended: AtomicU64,
}

#[derive(Debug, Default)]
struct Bytes {
    read: AtomicU64,
    written: AtomicU64,
}

/// The counters at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Totals {
    /// Links that were accepted or handed over.
    pub opened: u64,
    /// Clients that were refused when they came; they never became links.
    pub rejected: u64,
    /// Refusals by reason, those that occurred only: the same, and links whose target turned out to be
    /// forbidden.
    pub refused: Vec<(Reason, u64)>,
    /// Ended links by outcome, those that occurred only.
    pub ended: Vec<(Outcome, u64)>,
    /// Bytes from downstream to upstream, of links that are alive as well.
    pub up: Traffic,
    /// Bytes from upstream to downstream, of links that are alive as well.
    pub down: Traffic,
    /// The number of times that accepting paused, out of descriptors or memory. This is the loop's, not a
    /// service's.
    pub accept_pauses: u64,
    /// The number of bursts long and fast enough to raise the low-water mark of their source;
    /// the loop's, too.
    pub marks_raised: u64,
    /// Clients of endpoints that became sessions.
    pub sessions_opened: u64,
    /// Sessions that have ended.
    pub sessions_ended: u64,
}

impl Totals {
    /// Links that have ended, however they did.
    pub fn ended_total(&self) -> u64 {
        self.ended.iter().map(|(_, count)| count).sum()
    }

    /// Counts the refusals for `reason`.
    pub fn refused_for(&self, reason: Reason) -> u64 {
        self.refused.iter().find(|(each, _)| *each == reason).map_or(0, |(_, count)| *count)
    }

    /// Counts the links that ended in `outcome`.
    pub fn ended_as(&self, outcome: Outcome) -> u64 {
        self.ended.iter().find(|(each, _)| *each == outcome).map_or(0, |(_, count)| *count)
    }
}

impl Counters {
    /// Reads all counters.
    pub fn totals(&self) -> Totals {
        let ended = Outcome::ALL
            .iter()
            .zip(&self.ended)
            .map(|(outcome, count)| (*outcome, count.load(Ordering::Relaxed)))
            .filter(|(_, count)| *count > 0)
            .collect();
        let refused = Reason::ALL
            .iter()
            .zip(&self.refused)
            .map(|(reason, count)| (*reason, count.load(Ordering::Relaxed)))
            .filter(|(_, count)| *count > 0)
            .collect();
        Totals {
            refused,
            opened: self.opened.load(Ordering::Relaxed),
            rejected: self.rejected.load(Ordering::Relaxed),
            ended,
            up: self.up.traffic(),
            down: self.down.traffic(),
            accept_pauses: self.accept_pauses.load(Ordering::Relaxed),
            marks_raised: self.marks_raised.load(Ordering::Relaxed),
            sessions_opened: self.sessions_opened.load(Ordering::Relaxed),
            sessions_ended: self.sessions_ended.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn link_opened(&self) {
        add(&self.opened, 1);
    }

    /// A client has been refused when it came.
    pub(crate) fn link_rejected(&self, reason: Reason) {
        add(&self.rejected, 1);
        self.refused(reason);
    }

    /// Somebody has been refused.
    pub(crate) fn refused(&self, reason: Reason) {
        if let Some(index) = Reason::ALL.iter().position(|each| *each == reason) {
            add(&self.refused[index], 1);
        }
    }

    pub(crate) fn session_opened(&self) {
        add(&self.sessions_opened, 1);
    }

    pub(crate) fn session_ended(&self) {
        add(&self.sessions_ended, 1);
    }

    pub(crate) fn accept_paused(&self) {
        add(&self.accept_pauses, 1);
    }

    pub(crate) fn mark_raised(&self) {
        add(&self.marks_raised, 1);
    }

    /// Bytes have moved in the lane that begins at `from`.
    pub(crate) fn carried(&self, from: Side, traffic: Traffic) {
        match from {
            Side::Downstream => self.up.add(traffic),
            Side::Upstream => self.down.add(traffic),
        }
    }

    pub(crate) fn link_ended(&self, outcome: Outcome) {
        if let Some(index) = Outcome::ALL.iter().position(|each| *each == outcome) {
            add(&self.ended[index], 1);
        }
    }
}

impl Bytes {
    fn add(&self, traffic: Traffic) {
        add(&self.read, traffic.read);
        add(&self.written, traffic.written);
    }

    fn traffic(&self) -> Traffic {
        Traffic {
            read: self.read.load(Ordering::Relaxed),
            written: self.written.load(Ordering::Relaxed),
        }
    }
}

fn add(counter: &AtomicU64, amount: u64) {
    // What is read is not always written in the same turn, and a counter may be another loop's, too.
    if amount > 0 {
        counter.fetch_add(amount, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_books_balance() {
        let counters = Counters::default();
        for outcome in Outcome::ALL {
            counters.link_opened();
            let traffic = Traffic { read: 3, written: 2 };
            counters.carried(Side::Downstream, traffic);
            counters.link_ended(outcome);
        }
        let totals = counters.totals();
        assert_eq!(totals.opened, totals.ended_total());
        assert_eq!(totals.ended_as(Outcome::Reset(Side::Upstream)), 1);
        assert_eq!(totals.up.read, 3 * totals.opened);
        assert_eq!(totals.down, Traffic::default());
    }
}
