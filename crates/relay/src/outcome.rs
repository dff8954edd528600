//! The outcome: the way a link ended.
//!
//! Every accepted link ends in exactly one [`Outcome`], so the books balance: links opened = the
//! sum of all outcomes + links alive. An outcome is not an error: a peer that resets is as normal
//! as one that closes, and both are counted and told in the same way.

use std::fmt;

use crate::open::OpenClass;

/// The way a link ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Both sides ended their stream and every byte was delivered.
    Clean,
    /// One side aborted (RST, or a pipe whose other end is gone); the other was told by RST.
    Reset(Side),
    /// The upstream could not be opened.
    OpenFailed(OpenClass),
    /// The downstream went away while the upstream was being opened.
    Cancelled,
    /// A time limit ran out.
    Expired(Limit),
    /// The child behind the upstream failed after it had begun to carry bytes.
    ChildFailed,
    /// A descriptor failed in a way that is neither an end nor a reset (a full disk, say).
    Failed(Side),
    /// The relay was stopped while the link was alive.
    Stopped,
}

/// One of the two sides of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// The side that connected to us.
    Downstream,
    /// The side that we opened.
    Upstream,
}

impl Side {
    /// The side opposite to this one.
    pub fn other(self) -> Self {
        match self {
            Self::Downstream => Self::Upstream,
            Self::Upstream => Self::Downstream,
        }
    }
}

/// The time limits a link can run into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Limit {
    /// The upstream was not open within the connect timeout.
    Connect,
    /// No byte moved in either direction for the idle timeout.
    Idle,
    /// Half-closed, and no byte moved for the linger time.
    Linger,
    /// Still alive when the drain time was over.
    Drain,
}

impl Outcome {
    /// Every outcome, in the order of the counters.
    pub const ALL: [Self; 24] = [
        Self::Clean,
        Self::Reset(Side::Downstream),
        Self::Reset(Side::Upstream),
        Self::OpenFailed(OpenClass::Refused),
        Self::OpenFailed(OpenClass::TimedOut),
        Self::OpenFailed(OpenClass::Unreachable),
        Self::OpenFailed(OpenClass::NameUnknown),
        Self::OpenFailed(OpenClass::TargetGone),
        Self::OpenFailed(OpenClass::Denied),
        Self::OpenFailed(OpenClass::ToolMissing),
        Self::OpenFailed(OpenClass::ChildFailed),
        Self::OpenFailed(OpenClass::Exhausted),
        Self::OpenFailed(OpenClass::Forbidden),
        Self::OpenFailed(OpenClass::NoClient),
        Self::OpenFailed(OpenClass::Other),
        Self::Cancelled,
        Self::Expired(Limit::Connect),
        Self::Expired(Limit::Idle),
        Self::Expired(Limit::Linger),
        Self::Expired(Limit::Drain),
        Self::ChildFailed,
        Self::Failed(Side::Downstream),
        Self::Failed(Side::Upstream),
        Self::Stopped,
    ];

    /// The word used in logs and counters.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Reset(Side::Downstream) => "reset-by-downstream",
            Self::Reset(Side::Upstream) => "reset-by-upstream",
            Self::OpenFailed(class) => class.as_str(),
            Self::Cancelled => "cancelled",
            Self::Expired(Limit::Connect) => "connect-timeout",
            Self::Expired(Limit::Idle) => "idle-timeout",
            Self::Expired(Limit::Linger) => "linger-timeout",
            Self::Expired(Limit::Drain) => "drain-timeout",
            Self::ChildFailed => "child-failed-midway",
            Self::Failed(Side::Downstream) => "downstream-failed",
            Self::Failed(Side::Upstream) => "upstream-failed",
            Self::Stopped => "stopped",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_outcome_has_a_word_of_its_own() {
        let words: HashSet<_> = Outcome::ALL.iter().map(|outcome| outcome.as_str()).collect();
        assert_eq!(words.len(), Outcome::ALL.len());
        for class in OpenClass::ALL {
            assert!(Outcome::ALL.contains(&Outcome::OpenFailed(class)), "{class} is not counted");
        }
    }
}
