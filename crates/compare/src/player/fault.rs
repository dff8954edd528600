//! Faults: what a relay did instead of what is expected of it.
//!
//! The messages are the short phrases of a report: what was really seen.

use std::io;
use std::time::Duration;

use nsplice_trial::ramp::Mismatch;
use nsplice_trial::talk::{Cut, Unheard};
use nsplice_trial::Ending;

use super::Side;

/// A fault: what went wrong.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// Some bytes did not arrive.
    #[error("{what} cut after {after} of {of} bytes by {by}")]
    Cut {
        /// The name of what was cut.
        what: &'static str,
        /// Bytes that came.
        after: u64,
        /// Bytes that were sent.
        of: u64,
        /// The ending that came instead of the next one.
        by: Ending,
    },
    /// Other bytes arrived.
    #[error("{what} wrong at byte {}: {} instead of {}", .at.offset, .at.found, .at.expected)]
    Wrong {
        /// The name of what was wrong.
        what: &'static str,
        /// The mismatch.
        at: Mismatch,
    },
    /// A stream ended in another way.
    #[error("{who} saw {seen} instead of {expected}")]
    Otherwise {
        /// The side that saw it.
        who: Side,
        /// The ending that should have come.
        expected: &'static str,
        /// The one that came.
        seen: Ending,
    },
    /// Nobody took the bytes.
    #[error("{who} got rid of {after} of {of} bytes, then {by}")]
    Unsent {
        /// The side that sent.
        who: Side,
        /// Bytes that were taken.
        after: u64,
        /// Bytes that were to be sent.
        of: u64,
        /// The one that came.
        by: Ending,
    },
    /// The relay lets nobody in.
    #[error("the relay did not accept: {0}")]
    Unconnected(io::Error),
    /// The relay did not connect to the server.
    #[error("the server was not connected to within {} s", .0.as_secs_f32())]
    Unserved(Duration),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

impl Fault {
    /// The side `who` could not send what it was to.
    pub(super) fn unsent(who: Side, Cut { after, of, by }: Cut) -> Self {
        Self::Unsent { who, after, of, by }
    }

    /// The payload `what` did not arrive as it was sent.
    pub(super) fn unheard(what: &'static str, unheard: Unheard) -> Self {
        match unheard {
            Unheard::Cut(Cut { after, of, by }) => Self::Cut { what, after, of, by },
            Unheard::Wrong(at) => Self::Wrong { what, at },
        }
    }
}
