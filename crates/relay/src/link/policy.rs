//! The policy of a link: where it differs from TCP's own rules.
//!
//! The default is the relay's promise: FIN as FIN, RST as RST, both directions, no byte touched. A
//! program that stands in for another one (socat, say) keeps that one's policy instead.

use std::fmt::Debug;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use crate::lane::filter::Filter;
use crate::lane::step::Belief;
use crate::outcome::Side;

/// The policy of a forward's links.
#[derive(Debug, Default)]
pub struct LinkPolicy {
    /// The way in which links end.
    pub endings: Endings,
    /// Which lanes carry bytes.
    pub lanes: Lanes,
    /// The treatment of a client for whom there is no place.
    pub when_full: WhenFull,
    /// The way in which each side is told the end of what it gets, indexed by [`Side`].
    pub finishes: [Finish; 2],
    /// The belief in the end of what each side sends, indexed by [`Side`].
    pub ends: [Belief; 2],
    /// The owner of each side besides the link, indexed by [`Side`].
    pub owners: [Owner; 2],
    /// Filters that the bytes pass through.
    pub filters: Option<Box<dyn Filters>>,
}

/// The way in which links end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Endings {
    /// An end is passed on as an end, an abort as an abort, and a time limit aborts.
    #[default]
    Faithful,
    /// A reset counts as the end of what that side sends, and nobody is ever reset. The linger time
    /// replaces the idle time once a side has ended, and neither runs while a sink is full.
    Gentle(Answers),
}

impl Endings {
    /// The linger time of a link of which these sides have ended, where `linger` is its usual one.
    pub(crate) fn linger(
        self,
        linger: Option<Duration>,
        has_ended: impl Fn(Side) -> bool,
    ) -> Option<Duration> {
        match self {
            Self::Gentle(Answers::From { side, afterwards }) if has_ended(side) => {
                Some(linger.map_or(afterwards, |linger| linger.min(afterwards)))
            }
            _ => linger,
        }
    }

    /// Returns whether a link is over when `side` has reset and what it had sent is delivered:
    /// nobody is left there to hear an answer. Of the side that answers, the other one may only
    /// hear by a write that fails, and is given its linger time for that.
    pub(crate) fn end_with_reset_of(self, side: Side) -> bool {
        match self {
            Self::Faithful => false,
            Self::Gentle(Answers::Both) => true,
            Self::Gentle(Answers::From { side: answering, .. }) => side != answering,
        }
    }
}

/// From which side answers come: after the end of the other one they are worth a long wait, while
/// after its own end nobody waits for anything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Answers {
    /// From either.
    #[default]
    Both,
    /// From one.
    From {
        /// The side that answers.
        side: Side,
        /// The linger time after its end, if the usual one is not shorter.
        afterwards: Duration,
    },
}

/// Which lanes carry bytes.
#[derive(Debug, Clone, Copy, Default)]
pub enum Lanes {
    /// Both.
    #[default]
    Both,
    /// One. What the other side sends is thrown away, so that it never stands in the way of
    /// what it is sent; the link ends when that side has acknowledged everything.
    From {
        /// Where the bytes come from.
        side: Side,
        /// Bytes that a socket has been given and its peer has not acknowledged (SIOCOUTQ of
        /// tcp(7)). A function because the relay makes no ioctl(2) itself.
        unacknowledged: fn(BorrowedFd<'_>) -> usize,
    },
}

impl Lanes {
    pub(crate) fn carries(self, from: Side) -> bool {
        match self {
            Self::Both => true,
            Self::From { side, .. } => side == from,
        }
    }
}

/// The treatment of a client for whom there is no place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// It is refused by RST, and counted.
    #[default]
    Refuse,
    /// It waits in the listener's queue. Only for forwards that one loop serves.
    Wait,
}

/// The way in which a side is told that nothing more will come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Finish {
    /// The sending half of a socket is shut down, the sink of a pair is closed.
    #[default]
    Shut,
    /// The sink of a pair is closed, and nothing is done to what it leads to, which others have as
    /// well: who reads from it is told if they have closed it, too.
    Close,
    /// Not at all while the link lives.
    Nothing,
}

/// The owner of a side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Owner {
    /// The link alone.
    #[default]
    Link,
    /// All links of the forward: each has duplicates of the same descriptors. What one of them has
    /// begun to write it finishes before another one writes, and what the others may want to read is
    /// not taken away when one ends.
    Forward,
}

/// Makes the filters of each link.
pub trait Filters: Debug + Send + Sync {
    /// The filter of the lane that begins at `from`; without one it may splice.
    fn lane(&self, from: Side) -> Option<Box<dyn Filter>>;
}
