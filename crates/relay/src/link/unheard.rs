//! Directions in which nothing is carried: because the forward does not want it, or because a
//! descriptor does not serve it.
//!
//! A descriptor that was handed over may be open for one direction only (the read end of a pipe as
//! both ends of a side: `socat STDIN TCP:...`). The direction that it cannot serve is absent: there
//! are no data in it, no end and no error. It has no lane, so nothing that limits a link by its
//! lanes waits for it. What the other side sends although there is no place for it is thrown away
//! if it comes from a socket, so that the sender is never held up; files, pipes and terminals keep
//! what they have, for whoever reads them next.
//!
//! The end of a side that nobody can hear is of interest only when all that goes to it is delivered:
//! then nothing is left to wait for. A socket is given its linger time to come to that end, because it
//! may still be at work on what it got; of anything else no end is to be had.

use crate::lane::end::End;
use crate::lane::Phase;
use crate::net::farewell::is_reset;
use crate::outcome::Side;
use crate::turn::Turn;

use super::{Link, LinkState};

/// The result of throwing away what a side sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Thrown {
    /// There is more of it.
    More,
    /// There is nothing now.
    Nothing,
    /// The side has ended.
    End,
}

impl Link {
    /// Returns whether the descriptors of both sides serve the direction that begins at `from`.
    pub(super) fn serves(&self, from: Side) -> bool {
        let source = self.halves[from as usize].conn.source();
        let sink = self.halves[from.other() as usize].conn.sink();
        source.is_none_or(End::reads) && sink.is_none_or(End::writes)
    }

    /// Returns whether there is no place for what `from` sends, although it is wanted.
    pub(super) fn is_unheard(&self, from: Side) -> bool {
        matches!(self.state, LinkState::Relaying)
            && self.policy.lanes.carries(from)
            && self.halves[from as usize].lane.is_none()
    }

    /// Silences the sides that cannot be heard: the link has ended if one of them has got everything
    /// and has ended itself.
    pub(super) fn silence(&mut self, turn: &mut Turn<'_>) -> Thrown {
        let mut more = Thrown::Nothing;
        for from in [Side::Downstream, Side::Upstream] {
            if !self.is_unheard(from) {
                continue;
            }
            let has_got_all = self.phase(from.other()) == Phase::Done;
            let half = &mut self.halves[from as usize];
            if has_got_all {
                if half.conn.source().is_none_or(|source| !source.is_peer()) {
                    return Thrown::End;
                }
                // Its end may have been read already: it is read as often as it is asked for.
                half.ready.set_readable(true);
            }
            match self.throw_away(from, turn) {
                Thrown::End if has_got_all => return Thrown::End,
                Thrown::More => more = Thrown::More,
                Thrown::End | Thrown::Nothing => {}
            }
        }
        more
    }

    /// Throws away what a side sends that nobody gets.
    pub(super) fn throw_away(&mut self, from: Side, turn: &mut Turn<'_>) -> Thrown {
        let half = &mut self.halves[from as usize];
        let Some(source) = half.conn.source().filter(|source| source.is_peer()) else {
            return Thrown::Nothing;
        };
        if !half.ready.readable() {
            return Thrown::Nothing;
        }
        let thrown = match source.read(turn.buffer, turn.sessions) {
            Ok(0) => Thrown::End,
            Ok(_) => Thrown::More,
            Err(errno) if is_reset(errno) => Thrown::End,
            Err(_) => Thrown::Nothing,
        };
        half.ready.set_readable(thrown == Thrown::More);
        thrown
    }
}
