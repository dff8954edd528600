//! The decisions of a link about its sides, without a descriptor in its hands.
//!
//! Whether a side gets a FIN, an RST or nothing at all is the one thing that a relay must not get
//! wrong. So each such question is asked here, of a few facts that the link gathers, and answered in
//! words that the link then acts upon:
//!
//! * a lane has ended: is its FIN passed on, is a child judged, is the link over ([`Ended`])?
//! * a side has announced an error: is the link over, or will a lane meet it ([`Alarm`])?
//! * the link is over: how is each side closed ([`Parting`])?
//!
//! The tests go through every combination of facts.

use crate::lane::Phase;
use crate::outcome::{Outcome, Side};

/// A lane that may have ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ended {
    /// Where it begins.
    pub(super) from: Side,
    pub(super) phase: Phase,
    /// The other lane has passed its end on.
    pub(super) other_is_done: bool,
    /// The child behind the upstream, if there is one.
    pub(super) child: Option<ChildIs>,
}

/// The knowledge of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChildIs {
    /// Its exit status is known.
    Over,
    /// It may be about to end: its exit status would tell more than the end of its output.
    Awaited,
    /// It lives on.
    Alive,
}

/// The action that an end calls for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing, or not yet.
    Nothing,
    /// The child's exit status decides how the link ends.
    Verdict,
    /// The FIN is passed on.
    Fin,
    /// Both lanes are done: closing the sockets sends the last FIN.
    LastFin,
}

impl Ended {
    pub(super) fn due(self) -> Due {
        let judged = self.from == Side::Upstream && self.child == Some(ChildIs::Over);
        match self.phase {
            // Its output had ended before; now the child has, and there is nobody to speak to.
            Phase::Done if judged => Due::Verdict,
            Phase::Ended if judged => Due::Verdict,
            Phase::Ended if self.from == Side::Upstream && self.child == Some(ChildIs::Awaited) => {
                Due::Nothing
            }
            Phase::Ended if self.other_is_done => Due::LastFin,
            Phase::Ended => Due::Fin,
            Phase::Flowing | Phase::Draining | Phase::Done | Phase::Dead => Due::Nothing,
        }
    }
}

/// An error that a side has announced before a lane has met it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Alarm {
    pub(super) side: Side,
    /// Resets are ends here, and nobody is told of one by a reset.
    pub(super) gentle: bool,
    /// All that the side has sent was heard, or nobody wants to hear it.
    pub(super) heard: bool,
    /// After a reset of this side nobody is left there to hear an answer.
    pub(super) hears_nothing: bool,
    /// Bytes for it are still pending.
    pub(super) owed: bool,
    /// It is read from one descriptor and written to another one.
    pub(super) is_pair: bool,
    /// There is a child behind it.
    pub(super) is_child: bool,
    /// A lane is about to read it, and so to meet the error after the bytes before it.
    pub(super) meets_it: bool,
    /// It can still be written to by us.
    pub(super) has_sink: bool,
}

/// The action that an alarm calls for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Response {
    /// Nothing: it is met by a lane, or of no interest.
    Nothing,
    /// The side is given no more; what it has to say decides.
    StopGiving,
    /// The link is over.
    End(Outcome),
}

impl Alarm {
    pub(super) fn response(self) -> Response {
        if self.gentle {
            // It ends early only if nothing is left to do but to give that side more.
            if !self.heard || !self.hears_nothing {
                return Response::Nothing;
            }
            if !self.is_pair && !self.owed {
                return Response::End(Outcome::Clean);
            }
        }
        if self.is_child {
            return Response::StopGiving;
        }
        // Once a pair's sink is closed by us, its error is of no interest.
        if (self.meets_it && !self.is_pair) || !self.has_sink {
            return Response::Nothing;
        }
        Response::End(Outcome::Reset(self.side))
    }
}

/// A side of a link that is over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parting {
    pub(super) outcome: Outcome,
    pub(super) side: Side,
    /// Nobody is ever reset here.
    pub(super) gentle: bool,
    /// Other links have it, too.
    pub(super) shared: bool,
    /// The link has a child (behind the upstream).
    pub(super) has_child: bool,
    /// Others may hold its descriptors, so that closing ours is no FIN.
    pub(super) handed_over: bool,
    /// The end of what it gets has been passed on to it.
    pub(super) was_told: bool,
    /// The end of what it sends has come.
    pub(super) has_ended: bool,
    /// It has not got everything, and has taken nothing for too long.
    pub(super) starves: bool,
}

/// The way a side is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Farewell {
    /// Closed, which is a FIN if none was sent.
    Close,
    /// What it still sends is read away first: closing with unread bytes would be an RST, which
    /// takes away what it has not read.
    Leave,
    /// RST.
    Abort,
}

impl Parting {
    /// Returns whether the end is passed on before the side is closed.
    pub(super) fn needs_fin(self) -> bool {
        // A client of a child's may be sending still, and closing would be a reset if its bytes come
        // in between.
        let closing_is_no_fin = self.handed_over || self.has_child;
        let is_last =
            closing_is_no_fin && self.outcome == Outcome::Clean && self.side == Side::Downstream;
        is_last || self.gentle
    }

    pub(super) fn farewell(self) -> Farewell {
        // A side to which everything has been delivered, FIN included, must not lose it again
        // because the other side has reset since. A client that a child was to serve has what it
        // gets by now, and what it has sent in vain is told by a reset.
        let is_clean = self.outcome == Outcome::Clean;
        let served =
            (self.was_told && !self.has_child) || (self.side == Side::Downstream && is_clean);
        // What one that starves sends would cut it off from the rest.
        let has_ended = !self.starves && (self.has_child || self.has_ended);
        match self.outcome {
            _ if self.shared => Farewell::Close,
            _ if self.gentle => Farewell::Leave,
            // With its end read, or with everything delivered, closing is all there is to do.
            Outcome::Clean if has_ended => Farewell::Close,
            Outcome::Clean | Outcome::Reset(_) if served => Farewell::Leave,
            _ => Farewell::Abort,
        }
    }
}

#[cfg(test)]
mod tests;
