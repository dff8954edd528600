//! The moment at the beginning of a line, in local time.

use std::fmt;

use chrono::{DateTime, Local};

/// The precision that moments are written with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stamp {
    /// `2026/11/23 07:25:49`
    Seconds,
    /// `2026/11/23 07:25:49.742288`
    Microseconds,
    /// `2026/11/23 07:25:49.000742288`: the microseconds, in the place of nanoseconds. This is what
    /// socat 1.7.4.4 puts over its dumps, and what reads them has learnt to live with it.
    Dump,
}

impl Stamp {
    /// The present moment.
    pub(crate) fn now(self) -> impl fmt::Display {
        Moment { stamp: self, time: Local::now() }
    }
}

struct Moment {
    stamp: Stamp,
    time: DateTime<Local>,
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.time.format("%Y/%m/%d %H:%M:%S"))?;
        // A leap second is told as a second of more than a million microseconds.
        let microseconds = self.time.timestamp_subsec_micros() % 1_000_000;
        match self.stamp {
            Stamp::Seconds => Ok(()),
            Stamp::Microseconds => write!(f, ".{microseconds:06}"),
            Stamp::Dump => write!(f, ".{microseconds:09}"),
        }
    }
}
