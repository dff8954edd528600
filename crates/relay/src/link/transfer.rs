//! The second state of a link: both lanes run, and what they find is judged.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nsplice_sys::describe;

use crate::lane::end::End;
use crate::lane::low_water::Mark;
use crate::lane::mode::Mode;
use crate::lane::mover::LaneMover;
use crate::lane::step::Belief;
use crate::lane::traffic::Traffic;
use crate::lane::{Budget, Lane, Phase, Stop};
use crate::link::arrival::Origin;
use crate::link::child::GRACE;
use crate::link::conn::Conn;
use crate::link::policy::{Lanes, Owner};
use crate::net::farewell::is_reset;
use crate::net::interest::{forget, reregister, Watched};
use crate::observer::Work;
use crate::open::{OpenError, Verdict};
use crate::outcome::{Outcome, Side};
use crate::source::sources::EventSources;
use crate::table::Port;
use crate::turn::Turn;

use super::decide::{Alarm, ChildIs, Due, Ended, Response};
use super::unheard::Thrown;
use super::{Link, Next};

impl Link {
    /// Runs both lanes and judges what they found.
    pub(super) fn relay(&mut self, turn: &mut Turn<'_>) -> Next {
        let mut again = false;
        let before = self.progress();
        for from in [Side::Downstream, Side::Upstream] {
            match self.run_lane(from, turn, Budget::TURN) {
                Stop::Waiting => {}
                Stop::Again => again = true,
                Stop::SourceFailed(errno) if self.is_gentle() && is_reset(errno) => {
                    self.take_for_end(from, errno, turn);
                    again = true;
                }
                Stop::SourceFailed(errno) => return self.fail(from, Work::Read, errno),
                // A child that does not read its input any more may still have much to say.
                Stop::SinkFailed(Errno::EPIPE)
                    if from == Side::Downstream && self.watch.is_some() => {}
                Stop::SinkFailed(errno) => {
                    // What the failed side has sent before is still owed to the other one, told of by
                    // an event or, if it came since the last ones, not yet.
                    self.halves[from.other() as usize].ready.set_readable(true);
                    self.run_lane(from.other(), turn, Budget::LAST);
                    return self.fail(from.other(), Work::Write, errno);
                }
            }
        }
        for from in [Side::Downstream, Side::Upstream] {
            if let Some(outcome) = self.settle(from, turn) {
                return self.end_when_delivered(outcome, turn.now, turn.sessions);
            }
        }
        if self.progress() != before {
            self.active_at = turn.now;
        }
        match self.policy.lanes {
            Lanes::From { side, unacknowledged } => {
                again |= self.throw_away(side.other(), turn) == Thrown::More;
                if self.phase(side) == Phase::Done {
                    return self.deliver(side.other(), unacknowledged, turn.now);
                }
            }
            Lanes::Both => match self.silence(turn) {
                Thrown::More => again = true,
                Thrown::Nothing => {}
                Thrown::End => return Next::End(Outcome::Clean),
            },
        }
        if let Some(outcome) = self.notice_errors(turn.sessions) {
            return Next::End(outcome);
        }
        // Asked last, because no event may come after what has just been found.
        if self.is_deaf() && !self.waits_for_verdict(turn.now, turn.sessions) {
            let outcome = self.judge(Verdict::Success, turn.sessions);
            return self.end_when_delivered(outcome, turn.now, turn.sessions);
        }
        for side in [Side::Downstream, Side::Upstream] {
            if let Err(error) = self.watch_for_room(side, turn) {
                self.detail = Some(describe(&error));
                return Next::End(Outcome::Failed(side));
            }
        }
        if again {
            Next::Again
        } else {
            Next::Wait
        }
    }

    /// A reset is the end of what `from` sends; what it has sent before is still delivered.
    fn take_for_end(&mut self, from: Side, errno: Errno, turn: &mut Turn<'_>) {
        let half = &mut self.halves[from as usize];
        half.lane.iter_mut().for_each(Lane::end_source);
        // The read that was answered by it may have taken it away before it was announced.
        half.ready.set_error();
        turn.observer.side_reset(self.names(), from, &errno.into());
    }

    /// Ends a one-way link once its sink has everything.
    fn deliver(
        &mut self,
        to: Side,
        unacknowledged: fn(BorrowedFd<'_>) -> usize,
        now: Instant,
    ) -> Next {
        // Of what other links have, too, only a duplicate is closed.
        let is_closed = self.policy.owners[to as usize] == Owner::Link;
        let sink = self.halves[to as usize].conn.sink();
        let sink = sink.and_then(End::socket).filter(|_| is_closed);
        if sink.is_none_or(|sink| unacknowledged(sink.fd) == 0) {
            return Next::End(Outcome::Clean);
        }
        self.recheck = Some(now + DELIVERY_TICK);
        Next::Wait
    }

    /// Watches a stream for writes from the first time it has no room.
    fn watch_for_room(&mut self, side: Side, turn: &Turn<'_>) -> io::Result<()> {
        let port = match side {
            Side::Downstream => Port::DownSource,
            Side::Upstream => Port::UpSource,
        };
        let half = &mut self.halves[side as usize];
        if half.ready.writable() || half.watched == Watched::Both {
            return Ok(());
        }
        if let Conn::Socket(socket, _) = &half.conn {
            reregister(turn.registry, socket, self.key.token(port), Watched::Both)?;
            half.watched = Watched::Both;
        }
        Ok(())
    }

    fn run_lane(&mut self, from: Side, turn: &mut Turn<'_>, budget: Budget) -> Stop {
        let [down, up] = &mut self.halves;
        let (source, sink) = match from {
            Side::Downstream => (down, up),
            Side::Upstream => (up, down),
        };
        let (Some(lane), Some(source_end), Some(sink_end)) =
            (source.lane.as_mut(), source.conn.source(), sink.conn.sink())
        else {
            return Stop::Waiting;
        };
        let takes_turns = self.policy.owners[from.other() as usize] == Owner::Forward;
        if takes_turns && !turn.writers.admits(self.key) {
            // As if there were no room; the turn tells when there is.
            sink.ready.set_writable(false);
            return Stop::Waiting;
        }
        let mut mover = LaneMover {
            source: source_end,
            sink: sink_end,
            ends: self.policy.ends[from as usize],
            filter: source.filter.as_deref_mut(),
            in_flight: &mut source.in_flight,
            buffer: turn.buffer,
            pool: turn.pool,
            sessions: turn.sessions,
            refusal: turn.refusal,
        };
        let before = lane.traffic();
        let stop = lane.run(&mut mover, &mut source.ready, &mut sink.ready, budget);
        if takes_turns {
            let left = if lane.phase() == Phase::Dead { 0 } else { lane.pending() };
            turn.writers.note(self.key, left);
        }
        let moved = lane.traffic().since(before);
        if moved != Traffic::default() {
            turn.counters.carried(from, moved);
            self.terms.counters.carried(from, moved);
        }
        let mark = lane.note_read(moved.read, turn.now, turn.long_burst);
        if mark == Mark::Raised {
            turn.counters.mark_raised();
        }
        source.apply(mark, turn.now);
        // With the mark lowered there may be bytes that nothing has told of.
        match stop {
            Stop::Waiting if mark == Mark::Lowered => Stop::Again,
            stop => stop,
        }
    }

    /// Passes the FIN of an ended lane on, or ends the link if this was the last thing to do.
    fn settle(&mut self, from: Side, turn: &mut Turn<'_>) -> Option<Outcome> {
        let is_last = match self.ended(from, turn.now).due() {
            Due::Nothing => return None,
            Due::Verdict => {
                let verdict = self.watch.as_ref()?.verdict().cloned()?;
                return Some(self.judge(verdict, turn.sessions));
            }
            Due::Fin => false,
            Due::LastFin => true,
        };
        turn.observer.side_ended(self.names(), from);
        let finish = self.policy.finishes[from.other() as usize];
        let gentle = self.is_gentle();
        let sink = &mut self.halves[from.other() as usize];
        if !is_last {
            let end = sink.conn.sink().and_then(End::descriptor);
            if let (true, Some(end)) = (sink.conn.is_pair(), end) {
                forget(turn.registry, end.fd);
            }
            match sink.conn.finish(finish, turn.sessions) {
                // It has reset meanwhile, or nobody is there any more.
                Err(Errno::ENOTCONN) if gentle => {}
                Err(errno) => return Some(self.failure(from.other(), Work::Write, errno)),
                Ok(()) => {}
            }
        }
        if let Some(lane) = self.halves[from as usize].lane.as_mut() {
            lane.fin_passed();
        }
        is_last.then_some(Outcome::Clean)
    }

    /// The lane that begins at `from`, and the child if it has one. From the end of its output on a
    /// child is awaited for a grace.
    fn ended(&mut self, from: Side, now: Instant) -> Ended {
        let (phase, other_is_done) = (self.phase(from), self.phase(from.other()) == Phase::Done);
        let child = self.watch.as_mut().map(|watch| {
            if watch.verdict().is_some() {
                return ChildIs::Over;
            }
            let is_awaited = from == Side::Upstream
                && phase == Phase::Ended
                && now < *watch.grace.get_or_insert(now + GRACE);
            if is_awaited {
                ChildIs::Awaited
            } else {
                ChildIs::Alive
            }
        });
        Ended { from, phase, other_is_done, child }
    }

    /// Returns whether the child neither reads nor writes any more, and so has no use for a
    /// connection.
    fn is_deaf(&self) -> bool {
        let (reads, writes) = (self.phase(Side::Downstream), self.phase(Side::Upstream));
        self.watch.is_some() && reads == Phase::Dead && writes == Phase::Done
    }

    /// Ends the link if a side has announced an error that no lane is about to meet by itself.
    fn notice_errors(&mut self, sessions: &mut EventSources) -> Option<Outcome> {
        for side in [Side::Downstream, Side::Upstream] {
            if !self.halves[side as usize].ready.error() {
                continue;
            }
            match self.alarm(side).response() {
                Response::Nothing => {}
                Response::StopGiving => {
                    self.halves[side.other() as usize].lane.iter_mut().for_each(Lane::die);
                }
                Response::End(Outcome::Reset(side)) if self.has_overflowed(side, sessions) => {
                    return Some(Outcome::Failed(side));
                }
                Response::End(outcome) => return Some(outcome),
            }
        }
        None
    }

    /// Returns whether a side is a stream that was ended because it held too much, and not by its
    /// client.
    fn has_overflowed(&self, side: Side, sessions: &mut EventSources) -> bool {
        let stream = self.halves[side as usize].conn.stream_of_session();
        stream.is_some_and(|stream| sessions.has_overflowed(stream))
    }

    fn alarm(&self, side: Side) -> Alarm {
        let half = &self.halves[side as usize];
        let has_been_read = matches!(self.phase(side), Phase::Done | Phase::Dead);
        let room = self.halves[side.other() as usize].ready.writable();
        Alarm {
            side,
            gentle: self.is_gentle(),
            heard: has_been_read || self.is_unheard(side),
            hears_nothing: self.policy.endings.end_with_reset_of(side),
            owed: self.pending(side.other()) > 0,
            is_pair: half.conn.is_pair(),
            is_child: side == Side::Upstream && self.watch.is_some(),
            meets_it: room && half.lane.as_ref().is_some_and(Lane::reads),
            has_sink: half.conn.sink().is_some(),
        }
    }

    pub(super) fn fail(&mut self, side: Side, work: Work, errno: Errno) -> Next {
        Next::End(self.failure(side, work, errno))
    }

    fn failure(&mut self, side: Side, work: Work, errno: Errno) -> Outcome {
        self.work = Some(work);
        self.detail = Some(describe(&errno.into()));
        if is_reset(errno) {
            Outcome::Reset(side)
        } else {
            Outcome::Failed(side)
        }
    }

    pub(super) fn explain(&mut self, error: OpenError) {
        self.detail = Some(error.detail);
    }

    /// The mode at which a lane between these two sides begins.
    pub(super) fn start_lane(&mut self, from: Side, splice: bool) {
        let source = self.halves[from as usize].conn.source();
        let sink = self.halves[from.other() as usize].conn.sink();
        let mode = match (source, sink) {
            (Some(source), Some(sink)) if splice && source.splices() && sink.splices() => {
                if source.is_pipe() || sink.is_pipe() {
                    Mode::Direct
                } else {
                    Mode::Copying { large: 0 }
                }
            }
            _ => Mode::CopyOnly,
        };
        let filter = self.policy.filters.as_ref().and_then(|filters| filters.lane(from));
        // A splice straight into a shared pipe may stop anywhere in a block.
        let is_shared = self.policy.owners[from.other() as usize] == Owner::Forward;
        let mode = if filter.is_some() || is_shared { Mode::CopyOnly } else { mode };
        let half = &mut self.halves[from as usize];
        let mut lane = Lane::new(mode);
        if half.origin == Origin::HandedOver || half.conn.is_pair() {
            lane.leave_mark_alone();
        }
        half.lane = Some(lane);
        half.filter = filter;
        if self.policy.ends[from as usize] == Belief::Ignored {
            self.recheck = Some(self.active_at + END_TICK);
        }
    }
}

/// The time between two looks of a one-way link whether its sink has acknowledged everything: nothing
/// tells.
pub(super) const DELIVERY_TICK: Duration = Duration::from_millis(5);

/// The time between two questions to a source whose end is not believed.
pub(super) const END_TICK: Duration = Duration::from_secs(1);
