//! One direction of a link, without I/O.
//!
//! A lane takes bytes from its source and gives them to its sink. What has been taken and not yet
//! given is *pending* (in a pipe or a spill block, which the [`Mover`] looks after). The lane
//! decides what to do next and keeps the books; the mover does the system calls. Tests drive the
//! same code with a scripted mover.
//!
//! Phases, in this order, each entered once:
//!
//! * `Flowing`: the source has not ended.
//! * `Draining`: the source has ended, bytes are pending.
//! * `Ended`: everything is delivered; the FIN is due. The link passes it on, because only the link
//!   knows whether a FIN, a verdict or nothing at all is called for.
//! * `Done`: the FIN has been passed on.
//! * `Dead`: the sink takes nothing any more.
//!
//! Invariants: bytes are read only when none are pending, so a blocked sink stops the reading and
//! EAGAIN from the source is never ambiguous; a lane that stops has either spent its budget or
//! waits for a bit of readiness that only an event can set.

use std::time::Instant;

use nix::errno::Errno;

use crate::lane::low_water::{LongBurst, LowWater, Mark};
use crate::lane::mode::Mode;
use crate::lane::step::{Means, Moved, Mover, Sink, Source};
use crate::lane::traffic::Traffic;
use crate::net::readiness::Readiness;

pub(crate) mod end;
pub(crate) mod filter;
pub(crate) mod low_water;
pub(crate) mod mode;
pub(crate) mod mover;
pub(crate) mod pipe;
pub(crate) mod step;
pub(crate) mod traffic;

/// The life of a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Flowing,
    Draining,
    Ended,
    Done,
    Dead,
}

/// The reason why a lane stopped for this turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Nothing can move until an event comes.
    Waiting,
    /// The budget is spent; there is more to do.
    Again,
    /// The source failed.
    SourceFailed(Errno),
    /// The sink failed; pending bytes can never be delivered.
    SinkFailed(Errno),
}

/// The work that one lane may do in one turn, so that a busy link cannot starve the others.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    steps: u32,
    bytes: usize,
}

impl Budget {
    /// The share of a lane in one turn: a few steps, or as many bytes as one step of a full pipe
    /// may move anyway.
    pub(crate) const TURN: Self = Self { steps: 4, bytes: 256 * 1024 };

    /// For a last attempt: everything that moves without blocking.
    pub(crate) const LAST: Self = Self { steps: u32::MAX, bytes: usize::MAX };

    fn spent(self) -> bool {
        self.steps == 0 || self.bytes == 0
    }

    fn spend(&mut self, bytes: usize) {
        self.steps = self.steps.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

/// One direction of a link.
#[derive(Debug)]
pub(crate) struct Lane {
    phase: Phase,
    mode: Mode,
    /// None where the low-water mark of the source is not ours to move.
    low_water: Option<LowWater>,
    traffic: Traffic,
}

impl Lane {
    pub(crate) fn new(mode: Mode) -> Self {
        let low_water = Some(LowWater::default());
        Self { phase: Phase::Flowing, mode, low_water, traffic: Traffic::default() }
    }

    /// Moves the low-water mark of the source no more: the kernel refuses that, or others hold the
    /// source, too, and would find the mark raised.
    pub(crate) fn leave_mark_alone(&mut self) {
        self.low_water = None;
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    pub(crate) fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// Bytes taken from the source and not yet given to the sink.
    pub(crate) fn pending(&self) -> u64 {
        self.traffic.read - self.traffic.written
    }

    /// Returns whether the lane is about to read its source, and so will meet its error by itself.
    /// Returns whether its bytes stay within the kernel.
    pub(crate) fn splices(&self) -> bool {
        self.mode.splices() || self.mode == Mode::Direct
    }

    pub(crate) fn reads(&self) -> bool {
        self.phase == Phase::Flowing && self.pending() == 0
    }

    fn means(&self) -> Means {
        match self.mode.means() {
            Means::Pipe if self.low_water.as_ref().is_some_and(LowWater::waits_for_heaps) => {
                Means::Raised
            }
            means => means,
        }
    }

    /// Learns that `read` bytes were taken in the turn at `now`, and tells what becomes of the
    /// low-water mark of the source; `long` is a burst that raises it.
    pub(crate) fn note_read(&mut self, read: u64, now: Instant, long: &LongBurst) -> Mark {
        match &mut self.low_water {
            None => Mark::Stays,
            Some(low_water) if self.mode.splices() && self.phase == Phase::Flowing => {
                low_water.note(read, now, long)
            }
            Some(low_water) => low_water.end(),
        }
    }

    /// When a source that is waited for must be asked although nothing has told of it.
    pub(crate) fn patience(&self) -> Option<Instant> {
        self.low_water.as_ref()?.deadline()
    }

    /// Ends the patience with the source if it is time.
    pub(crate) fn lose_patience(&mut self, now: Instant) -> Mark {
        self.low_water.as_mut().map_or(Mark::Stays, |low_water| low_water.expire(now))
    }

    /// The low-water mark of the source has stayed up against our will: it is waited for as before.
    pub(crate) fn keep_patience(&mut self, now: Instant) {
        self.low_water.iter_mut().for_each(|low_water| low_water.go_on(now));
    }

    /// The FIN of an ended lane has been passed on.
    pub(crate) fn fin_passed(&mut self) {
        debug_assert!(self.phase == Phase::Ended && self.pending() == 0);
        self.phase = Phase::Done;
    }

    /// The sink takes nothing any more.
    pub(crate) fn die(&mut self) {
        if self.phase != Phase::Done {
            self.phase = Phase::Dead;
        }
    }

    /// The source counts as ended although it has not said so.
    pub(crate) fn end_source(&mut self) {
        if self.phase == Phase::Flowing {
            self.phase = if self.pending() > 0 { Phase::Draining } else { Phase::Ended };
        }
    }

    /// Moves what can be moved within `budget`.
    pub(crate) fn run(
        &mut self,
        mover: &mut impl Mover,
        source: &mut Readiness,
        sink: &mut Readiness,
        mut budget: Budget,
    ) -> Stop {
        loop {
            let step = if self.pending() > 0 {
                if self.phase == Phase::Dead || !sink.writable() {
                    return Stop::Waiting;
                }
                mover.flush()
            } else {
                if self.phase == Phase::Draining {
                    self.phase = Phase::Ended;
                }
                if self.phase != Phase::Flowing || !source.readable() || !sink.writable() {
                    return Stop::Waiting;
                }
                if budget.spent() {
                    return Stop::Again;
                }
                let step = mover.carry(self.means());
                self.mode.note(&step);
                budget.spend(step.read);
                step
            };
            if let Err(stop) = self.absorb(step, source, sink) {
                return stop;
            }
        }
    }

    /// Enters a step into the books and the readiness bits.
    fn absorb(
        &mut self,
        step: Moved,
        source: &mut Readiness,
        sink: &mut Readiness,
    ) -> Result<(), Stop> {
        self.traffic.read += step.read as u64;
        self.traffic.written += step.written as u64;
        if step.refused.is_some() {
            self.mode = Mode::CopyOnly;
        }
        match step.source {
            Source::More => {}
            Source::Short => source.set_readable(source.something_behind()),
            Source::Dry => source.set_readable(false),
            Source::Ended => self.phase = Phase::Draining,
            Source::Failed(_) => {}
        }
        match step.sink {
            Sink::Taking => {}
            Sink::Full => sink.set_writable(false),
            Sink::Failed(errno) => {
                self.die();
                return Err(Stop::SinkFailed(errno));
            }
        }
        if let Source::Failed(errno) = step.source {
            return Err(Stop::SourceFailed(errno));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
