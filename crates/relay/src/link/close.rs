//! The end of a link: its time limits, and the way its sides are closed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::forward::Limits;
use crate::lane::end::End;
use crate::lane::low_water::Mark;
use crate::lane::step::Belief;
use crate::lane::{Lane, Phase};
use crate::link::arrival::Origin;
use crate::link::child::{FAREWELL, GRACE};
use crate::link::conn::Conn;
use crate::link::policy::Owner;
use crate::net::interest::forget;
use crate::outcome::{Limit, Outcome, Side};
use crate::source::sources::EventSources;
use crate::turn::Turn;

use super::decide::{Farewell, Parting};
use super::transfer::END_TICK;
use super::{Link, LinkState, Next, Push};

impl Link {
    /// Does what is due when the deadline of the link has come.
    pub(crate) fn expire(&mut self, turn: &mut Turn<'_>) -> Next {
        let (now, terms) = (turn.now, Arc::clone(&self.terms));
        let limits = &terms.limits;
        match &mut self.state {
            LinkState::Opening { attempt, .. } => {
                if now < self.accepted_at + limits.connect_timeout {
                    return Next::Wait;
                }
                let waited = limits.connect_timeout;
                let mut told = format!("the upstream was not open within {waited:?}");
                if let Some(so_far) = attempt.so_far() {
                    told.push_str(&format!(": {so_far}"));
                }
                self.detail = Some(told);
                Next::End(Outcome::Expired(Limit::Connect))
            }
            LinkState::Delivering { next, .. } => {
                if *next <= now {
                    self.deliver_further(now)
                } else {
                    self.give_up_delivery(limits, now)
                }
            }
            LinkState::Closing { push, .. } => {
                let due = push.filter(|(moment, _)| *moment <= now);
                if let (Some((_, what)), Some(watch)) = (due, self.watch.as_mut()) {
                    *push = match what {
                        Push::Terminate => {
                            watch.child.terminate();
                            Some((now + GRACE, Push::Kill))
                        }
                        Push::Kill => {
                            watch.child.kill();
                            None
                        }
                    };
                }
                Next::Wait
            }
            LinkState::Relaying => {
                if self.grace_is_over(now) || self.recheck_is_due(now) || self.patience_is_over(now)
                {
                    return self.relay(turn);
                }
                if self.is_gentle() && self.is_blocked() {
                    self.active_at = now;
                }
                let (linger, idle_timeout) = (self.linger(limits), self.idle_timeout(limits));
                let silent = |limit: Option<Duration>| {
                    limit.is_some_and(|limit| self.active_at + limit <= now)
                };
                let limit = if silent(linger) {
                    Limit::Linger
                } else if silent(idle_timeout) {
                    Limit::Idle
                } else {
                    return Next::Wait;
                };
                self.last_look(turn).unwrap_or(Next::End(Outcome::Expired(limit)))
            }
        }
    }

    /// The linger time, if it runs.
    pub(super) fn linger(&self, limits: &Limits) -> Option<Duration> {
        if !self.is_half_closed() {
            return None;
        }
        let is_over = |side| self.has_ended(side) || self.is_unheard(side);
        self.policy.endings.linger(limits.linger, is_over)
    }

    /// The idle time, unless the linger time has taken its place.
    fn idle_timeout(&self, limits: &Limits) -> Option<Duration> {
        limits.idle_timeout.filter(|_| !(self.is_gentle() && self.is_half_closed()))
    }

    /// Returns whether a lane waits for its sink.
    fn is_blocked(&self) -> bool {
        [Side::Downstream, Side::Upstream].iter().any(|from| {
            let lane = self.halves[*from as usize].lane.as_ref();
            let runs =
                lane.is_some_and(|lane| matches!(lane.phase(), Phase::Flowing | Phase::Draining));
            runs && !self.halves[from.other() as usize].ready.writable()
        })
    }

    /// If it is time to look again: makes every source be asked whose end is not believed.
    fn recheck_is_due(&mut self, now: Instant) -> bool {
        if self.recheck.is_none_or(|recheck| now < recheck) {
            return false;
        }
        self.recheck = None;
        for (half, ends) in self.halves.iter_mut().zip(self.policy.ends) {
            if ends == Belief::Ignored {
                half.ready.set_readable(true);
                self.recheck = Some(now + END_TICK);
            }
        }
        true
    }

    /// Asks every source whose end is not believed once more, because a link that is about to end
    /// will not ask again: what it then needs, if there was something.
    fn last_look(&mut self, turn: &mut Turn<'_>) -> Option<Next> {
        if !self.policy.ends.contains(&Belief::Ignored) {
            return None;
        }
        self.recheck = Some(turn.now);
        self.recheck_is_due(turn.now);
        let before = self.progress();
        let next = self.relay(turn);
        (next != Next::Wait || self.progress() != before).then_some(next)
    }

    /// If a source has not come up with a heap in time: takes what there is.
    fn patience_is_over(&mut self, now: Instant) -> bool {
        let mut is_over = false;
        for half in &mut self.halves {
            let mark = half.lane.as_mut().map_or(Mark::Stays, |lane| lane.lose_patience(now));
            is_over |= mark != Mark::Stays;
            half.apply(mark, now);
        }
        is_over
    }

    /// If the grace of a child is over: makes its output end, if it is the child that has ended.
    fn grace_is_over(&mut self, now: Instant) -> bool {
        if self.grace().is_none_or(|grace| now < grace) {
            return false;
        }
        let Some(watch) = self.watch.as_mut() else { return false };
        if watch.verdict().is_some() {
            let half = &mut self.halves[Side::Upstream as usize];
            if half.ready.readable() {
                // A slow reader is still being served.
                watch.grace = Some(now + GRACE);
            } else {
                // What is pending still has all the time that the client takes.
                watch.grace = None;
                watch.child.kill();
                half.lane.iter_mut().for_each(Lane::end_source);
            }
        }
        true
    }

    /// When the grace of a child is over, if something depends on that: once the end of its output
    /// has been passed on nothing does.
    fn grace(&self) -> Option<Instant> {
        let grace = self.watch.as_ref()?.grace;
        grace.filter(|_| self.phase(Side::Upstream) != Phase::Done)
    }

    /// The time after which silence ends the link, in the state that it is in.
    pub(super) fn quiet_limit(&self, limits: &Limits) -> Option<Duration> {
        [self.linger(limits), self.idle_timeout(limits)].into_iter().flatten().min()
    }

    /// When the link next has to be looked at, computed from its state alone.
    pub(crate) fn wanted_deadline(&self) -> Option<Instant> {
        let limits = &self.terms.limits;
        match &self.state {
            LinkState::Opening { .. } => Some(self.accepted_at + limits.connect_timeout),
            LinkState::Closing { push, .. } => push.map(|(moment, _)| moment),
            LinkState::Delivering { next, .. } => {
                let silence = self.quiet_limit(limits).map(|limit| self.active_at + limit);
                silence.into_iter().chain([*next]).min()
            }
            LinkState::Relaying => {
                let silence = self.quiet_limit(limits);
                let silence = silence.map(|limit| self.active_at + limit);
                let patience = self.halves.iter().filter_map(|half| half.lane.as_ref()?.patience());
                [silence, self.grace(), self.recheck].into_iter().flatten().chain(patience).min()
            }
        }
    }

    /// Takes over the reason with which the peer of a stream has ended the link.
    fn explain_abort(&mut self, outcome: Outcome, sessions: &mut EventSources) {
        let by_downstream = matches!(
            outcome,
            Outcome::Cancelled
                | Outcome::Reset(Side::Downstream)
                | Outcome::Failed(Side::Downstream)
        );
        if let (true, Conn::Stream(stream)) =
            (by_downstream, &self.halves[Side::Downstream as usize].conn)
        {
            if let Some(abort) = sessions.why_aborted(*stream) {
                self.detail = Some(abort.reason.clone());
            }
        }
    }

    /// Closes both sides in the way that `outcome` calls for. False if the link must stay until
    /// its child has been collected.
    pub(crate) fn close(&mut self, outcome: Outcome, turn: &mut Turn<'_>) -> bool {
        turn.writers.note(self.key, 0);
        self.explain_abort(outcome, turn.sessions);
        for side in [Side::Downstream, Side::Upstream] {
            let parting = self.parting(side, outcome);
            let half = &mut self.halves[side as usize];
            half.in_flight.discard(turn.pool);
            let mut conn = std::mem::take(&mut half.conn);
            if conn.is_pair() {
                let ends = [conn.source(), conn.sink()].into_iter().flatten();
                for descriptor in ends.filter_map(End::descriptor) {
                    forget(turn.registry, descriptor.fd);
                }
            }
            if parting.needs_fin() {
                // One that was reset meanwhile needs none.
                let _ = conn.finish(self.policy.finishes[side as usize], turn.sessions);
            }
            match parting.farewell() {
                Farewell::Close => conn.close(turn.sessions),
                Farewell::Leave => conn.leave(turn.buffer, turn.sessions),
                Farewell::Abort => {
                    conn.abort(outcome, self.detail.as_deref(), turn.sessions);
                }
            }
        }
        match self.watch.as_mut() {
            Some(watch) if watch.verdict().is_none() => {
                // After a clean end its last input is still in the pipe: it is given time to read
                // that and to end by itself.
                let push = if outcome == Outcome::Clean {
                    (turn.now + FAREWELL, Push::Terminate)
                } else {
                    watch.child.terminate();
                    (turn.now + GRACE, Push::Kill)
                };
                self.state = LinkState::Closing { outcome, push: Some(push) };
                false
            }
            _ => true,
        }
    }

    fn parting(&self, side: Side, outcome: Outcome) -> Parting {
        Parting {
            outcome,
            side,
            gentle: self.is_gentle(),
            shared: self.policy.owners[side as usize] == Owner::Forward,
            has_child: self.watch.is_some(),
            handed_over: self.halves[side as usize].origin == Origin::HandedOver,
            was_told: self.phase(side.other()) == Phase::Done,
            has_ended: self.phase(side) != Phase::Flowing,
            starves: matches!(self.state, LinkState::Delivering { owed: 1.., .. }),
        }
    }

    /// Cuts the farewell of a child short.
    pub(crate) fn hurry(&mut self, now: Instant) -> Next {
        if let LinkState::Closing { push: push @ Some((_, Push::Terminate)), .. } = &mut self.state
        {
            self.watch.iter_mut().for_each(|watch| watch.child.terminate());
            *push = Some((now + GRACE, Push::Kill));
        }
        Next::Wait
    }

    /// Ends the link once its child has ended. A child that was served to the end and not pushed
    /// may still say that it failed, and then it is said that the client did not see that.
    pub(super) fn close_further(&mut self, sessions: &mut EventSources) -> Next {
        let LinkState::Closing { outcome, push } = self.state else { return Next::Wait };
        let Some(verdict) = self.watch.as_ref().and_then(|watch| watch.verdict()).cloned() else {
            return Next::Wait;
        };
        if !matches!(push, Some((_, Push::Terminate))) {
            return Next::End(outcome);
        }
        let outcome = self.judge(verdict, sessions);
        if let Some(detail) = &mut self.detail {
            detail.push_str(", after the connection had ended well");
        }
        Next::End(outcome)
    }
}
