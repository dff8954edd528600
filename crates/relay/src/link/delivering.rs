//! The end of a link whose upstream is a child: it is judged, and the client gets everything first.
//!
//! A child that has ended has said all it will say, but its last bytes may still be in our send
//! queue. A reset would take them away (RFC 9293, 3.10.5), and so would the kernel's own answer to
//! bytes that a client sends to a socket that is closed. So the sockets are kept until the client has
//! acknowledged everything, has reset, or has been silent for the linger or the idle time. Nothing
//! tells of an acknowledgement: it is asked for, at growing intervals.
//!
//! What the client has sent and the child has not read was not delivered, whether it is still in
//! the client's socket, with us, or in the child's pipe: the client is told by a reset, as a server
//! that closes with unread bytes would do (RFC 2525, 2.17). Once the client has ended its side the
//! child's pipe is closed, and nobody can tell any more what it has left in there.

use std::time::{Duration, Instant};

use crate::forward::Limits;
use crate::lane::end::End;
use crate::link::child::GRACE;
use crate::link::conn::Conn;
use crate::observer::Work;
use crate::open::Verdict;
use crate::outcome::{Outcome, Side};
use crate::source::sources::EventSources;

use super::{Link, LinkState, Next, Phase};

impl Link {
    /// The outcome of a link whose child has ended and whose output has been given to the client.
    pub(super) fn judge(&mut self, verdict: Verdict, sessions: &mut EventSources) -> Outcome {
        match verdict {
            Verdict::Success => match self.untaken(sessions) {
                0 => Outcome::Clean,
                bytes => {
                    self.detail = Some(format!("the program left {bytes} bytes unread"));
                    Outcome::Reset(Side::Upstream)
                }
            },
            Verdict::Failure(error) => {
                let silent = self.traffic(Side::Upstream).read == 0;
                let class = error.class;
                self.explain(error);
                if silent {
                    Outcome::OpenFailed(class)
                } else {
                    Outcome::ChildFailed
                }
            }
        }
    }

    /// Bytes of the client's that the child has not read, as far as that can be told.
    fn untaken(&self, sessions: &mut EventSources) -> usize {
        let pending = usize::try_from(self.pending(Side::Downstream)).unwrap_or(usize::MAX);
        let Some(watch) = &self.watch else { return pending };
        let [down, up] = &self.halves;
        let pending = match &down.conn {
            Conn::Stream(stream) => pending.saturating_add(sessions.unread(*stream)),
            _ => pending,
        };
        let socket = down.conn.source().and_then(End::socket);
        let queues = [socket, up.conn.sink().and_then(End::descriptor)].into_iter().flatten();
        queues.map(|end| watch.child.unread(end.fd)).fold(pending, usize::saturating_add)
    }

    /// Returns whether the end of a child that neither reads nor writes any more is waited for, for
    /// a moment: it may be about to end, and how it does says more than what it has left unread.
    pub(super) fn waits_for_verdict(&mut self, now: Instant, sessions: &mut EventSources) -> bool {
        let untaken = self.untaken(sessions);
        let Some(watch) = self.watch.as_mut().filter(|_| untaken > 0) else { return false };
        let until = *watch.deaf_grace.get_or_insert(now + GRACE);
        self.recheck = Some(until);
        now < until
    }

    /// Ends the link with `outcome`, but not before the client has got what its child said.
    pub(super) fn end_when_delivered(
        &mut self,
        outcome: Outcome,
        now: Instant,
        sessions: &mut EventSources,
    ) -> Next {
        let judged = match outcome {
            Outcome::Clean | Outcome::ChildFailed => true,
            Outcome::Reset(side) => side == Side::Upstream,
            _ => false,
        };
        let owed = self.owed();
        if !judged || self.is_gentle() || owed == 0 {
            return Next::End(outcome);
        }
        if outcome == Outcome::Clean && self.phase(Side::Upstream) == Phase::Ended {
            // Whoever waits for the end need not wait for what is only between the two kernels.
            let finish = self.policy.finishes[Side::Downstream as usize];
            let down = &mut self.halves[Side::Downstream as usize];
            if let Err(errno) = down.conn.finish(finish, sessions) {
                return self.fail(Side::Downstream, Work::Write, errno);
            }
            let up = &mut self.halves[Side::Upstream as usize];
            up.lane.iter_mut().for_each(|lane| lane.fin_passed());
        }
        self.active_at = now;
        self.state =
            LinkState::Delivering { outcome, owed, next: now + FIRST_TICK, tick: FIRST_TICK };
        Next::Wait
    }

    /// Looks whether the client has got everything by now.
    pub(super) fn deliver_further(&mut self, now: Instant) -> Next {
        let left = self.owed();
        let LinkState::Delivering { outcome, owed, next, tick } = &mut self.state else {
            return Next::Wait;
        };
        if self.halves[Side::Downstream as usize].ready.error() {
            return Next::End(Outcome::Reset(Side::Downstream));
        }
        let before = std::mem::replace(owed, left);
        if left == 0 {
            return Next::End(*outcome);
        }
        if *next <= now {
            *tick = (*tick * 2).min(LAST_TICK);
            *next = now + *tick;
        }
        if left < before {
            self.active_at = now;
        }
        Next::Wait
    }

    /// Waits no longer for a client that has not taken a byte for the linger or the idle time. What was decided
    /// stands: after a clean end the kernel goes on delivering.
    pub(super) fn give_up_delivery(&self, limits: &Limits, now: Instant) -> Next {
        let is_over = self.quiet_limit(limits).is_some_and(|limit| self.active_at + limit <= now);
        match self.state {
            LinkState::Delivering { outcome, .. } if is_over => Next::End(outcome),
            _ => Next::Wait,
        }
    }

    /// Bytes of the child's that the client has not acknowledged.
    fn owed(&self) -> usize {
        let sink = self.halves[Side::Downstream as usize].conn.sink();
        let socket = sink.and_then(End::socket);
        let Some((watch, socket)) = self.watch.as_ref().zip(socket) else { return 0 };
        let queued = watch.child.unacknowledged(socket.fd);
        // A FIN that is on its way counts as one.
        queued.saturating_sub(usize::from(self.phase(Side::Upstream) == Phase::Done))
    }
}

/// The time from the end of a child until it is first asked whether its client has got everything: a
/// peer that has something better to do acknowledges after 40 ms at the latest (`TCP_DELACK_MIN`).
const FIRST_TICK: Duration = Duration::from_millis(5);

/// The longest time between two questions about a client that reads slowly: each takes twice the time
/// of the one before, up to this.
const LAST_TICK: Duration = Duration::from_secs(1);
