//! Faults: what a relay did instead of what is expected of it.
//!
//! The messages are the short phrases of a report: what was really seen.

use std::fmt;
use std::io::{self, ErrorKind};
use std::time::Duration;

use super::ramp::Mismatch;
use super::Side;

/// The end of a stream, or the lack of one.
#[derive(Debug)]
pub enum Ending {
    /// By FIN.
    Fin,
    /// By RST.
    Reset,
    /// Not at all within this time.
    Silence(Duration),
    /// It went on with bytes.
    Bytes(usize),
    /// Not at all within this many bytes.
    Never(u64),
    /// By something else.
    Other(io::Error),
}

impl Ending {
    /// What the error of a read or a write with the time limit `patience` means.
    pub(crate) fn of(error: io::Error, patience: Duration) -> Self {
        match error.kind() {
            ErrorKind::ConnectionReset => Self::Reset,
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Self::Silence(patience),
            // Whoever writes to a connection whose FIN has come is told of the RST so.
            ErrorKind::BrokenPipe => Self::Fin,
            _ => Self::Other(error),
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fin => f.write_str("FIN"),
            Self::Reset => f.write_str("RST"),
            Self::Silence(time) => write!(f, "nothing for {} s", time.as_secs_f32()),
            Self::Bytes(1) => f.write_str("a byte more"),
            Self::Bytes(count) => write!(f, "{count} bytes more"),
            Self::Never(bytes) => write!(f, "no end within {} MiB", bytes >> 20),
            Self::Other(error) => write!(f, "\"{error}\""),
        }
    }
}

/// A fault: what went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
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
