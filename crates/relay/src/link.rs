//! A link: two sides, two lanes, one life.
//!
//! Stages, each entered once:
//!
//! * `Opening`: the downstream is there, the upstream is being opened. Nothing is read from the
//!   downstream; its FIN is left in the queue, its RST cancels the opening.
//! * `Relaying`: the lanes run. The link ends `Clean` when both FINs have been passed on, or by the
//!   first reset, failure or time limit.
//! * `Closing`: the outcome is decided and both sides are closed, but a child is still to be
//!   collected.
//!
//! A link never touches the loop's tables. It is called with events, turns and times, and answers
//! with a [`Next`].

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::channel::{is_reset, Channel};
use crate::conduit::{Conduit, LaneMover};
use crate::forward::Limits;
use crate::lane::{Budget, Lane, Phase, Stop};
use crate::open::{Attempt, OpenError, Verdict, Wake};
use crate::outcome::{Limit, Outcome, Side};
use crate::pace::Pace;
use crate::readiness::Readiness;
use crate::table::{Key, Port};
use crate::toolbox::Toolbox;
use crate::watch::{Watch, GRACE};

mod opening;

/// What a link needs after a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Wait for an event or the deadline.
    Wait,
    /// Another turn without waiting.
    Again,
    /// The link is over.
    End(Outcome),
}

/// The life of a link.
#[derive(Debug)]
enum Stage {
    Opening { attempt: Box<dyn Attempt>, wake: Wake, registered: bool },
    Relaying,
    Closing { outcome: Outcome, kill_at: Option<Instant> },
}

/// One side of a link, and the lane that begins there.
#[derive(Debug, Default)]
struct Half {
    channel: Channel,
    ready: Readiness,
    lane: Option<Lane>,
    conduit: Conduit,
}

/// One relayed connection.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) key: Key,
    /// Which of the loop's forwards it belongs to.
    pub(crate) forward: usize,
    pub(crate) client: Option<SocketAddr>,
    /// The deadline that stands in the loop's set.
    pub(crate) deadline: Option<Instant>,
    /// On the loop's ready list.
    pub(crate) queued: bool,
    pub(crate) accepted_at: Instant,
    pub(crate) open_time: Option<Duration>,
    pub(crate) detail: Option<String>,
    active_at: Instant,
    stage: Stage,
    /// Indexed by [`Side`].
    halves: [Half; 2],
    watch: Option<Box<Watch>>,
}

impl Link {
    /// A link whose upstream is about to be opened by `attempt`.
    pub(crate) fn new(
        key: Key,
        forward: usize,
        downstream: Channel,
        client: Option<SocketAddr>,
        attempt: Box<dyn Attempt>,
        now: Instant,
    ) -> Self {
        let ready = Readiness::of_new_stream();
        let downstream = Half { channel: downstream, ready, ..Half::default() };
        Self {
            key,
            forward,
            client,
            deadline: None,
            queued: false,
            accepted_at: now,
            open_time: None,
            detail: None,
            active_at: now,
            stage: Stage::Opening { attempt, wake: Wake::START, registered: false },
            halves: [downstream, Half::default()],
            watch: None,
        }
    }

    /// Takes in an event of one of the link's descriptors.
    pub(crate) fn note(&mut self, port: Port, event: &mio::event::Event) {
        match (port, &mut self.stage) {
            (Port::UpSource, Stage::Opening { wake, .. }) => {
                wake.readable |= event.is_readable() || event.is_read_closed();
                wake.writable |= event.is_writable();
                wake.error |= event.is_error();
            }
            (Port::DownSource, _) => self.note_side(Side::Downstream, Port::DownSource, event),
            (Port::DownSink, _) => self.note_side(Side::Downstream, Port::DownSink, event),
            (Port::UpSource, _) => self.note_side(Side::Upstream, Port::UpSource, event),
            (Port::UpSink, _) => self.note_side(Side::Upstream, Port::UpSink, event),
            (Port::Exit, _) => self.watch.iter_mut().for_each(|watch| watch.note_exit()),
            (Port::Diagnostics, _) => {
                self.watch.iter_mut().for_each(|watch| watch.note_diagnostics());
            }
        }
    }

    fn note_side(&mut self, side: Side, port: Port, event: &mio::event::Event) {
        let half = &mut self.halves[side as usize];
        let is_sink_only = matches!(port, Port::DownSink | Port::UpSink);
        if !is_sink_only {
            half.ready.note_source(event);
        }
        if is_sink_only || !half.channel.is_pair() {
            half.ready.note_sink(event);
        }
    }

    /// One turn: moves what can be moved.
    pub(crate) fn turn(&mut self, tools: &mut Toolbox<'_>) -> Next {
        let busy = self.watch.as_mut().is_some_and(|watch| watch.attend(tools.now));
        let next = match self.stage {
            Stage::Opening { .. } => self.open_further(tools),
            Stage::Relaying => self.relay(tools),
            Stage::Closing { outcome, .. } => self.close_further(outcome),
        };
        match next {
            Next::Wait if busy => Next::Again,
            next => next,
        }
    }

    /// Runs both lanes and judges what they found.
    fn relay(&mut self, tools: &mut Toolbox<'_>) -> Next {
        let mut again = false;
        let before = self.moved();
        for from in [Side::Downstream, Side::Upstream] {
            match self.run_lane(from, tools, Budget::TURN) {
                Stop::Waiting => {}
                Stop::Again => again = true,
                Stop::SourceFailed(errno) => return self.fail(from, errno),
                // A child that does not read its input any more may still have much to say.
                Stop::SinkFailed(_) if from == Side::Downstream && self.watch.is_some() => {}
                Stop::SinkFailed(errno) => {
                    // What the failed side has sent before is still owed to the other one.
                    self.run_lane(from.other(), tools, Budget::LAST);
                    return self.fail(from.other(), errno);
                }
            }
        }
        if self.moved() != before {
            self.active_at = tools.now;
        }
        for from in [Side::Downstream, Side::Upstream] {
            if let Some(outcome) = self.settle(from, tools) {
                return Next::End(outcome);
            }
        }
        if let Some(outcome) = self.notice_errors() {
            return Next::End(outcome);
        }
        if again {
            Next::Again
        } else {
            Next::Wait
        }
    }

    fn run_lane(&mut self, from: Side, tools: &mut Toolbox<'_>, budget: Budget) -> Stop {
        let [down, up] = &mut self.halves;
        let (source, sink) = match from {
            Side::Downstream => (down, up),
            Side::Upstream => (up, down),
        };
        let (Some(lane), Some(source_end), Some(sink_end)) =
            (source.lane.as_mut(), source.channel.source(), sink.channel.sink())
        else {
            return Stop::Waiting;
        };
        let mut mover = LaneMover {
            source: source_end,
            sink: sink_end,
            conduit: &mut source.conduit,
            buffer: tools.buffer,
            pool: tools.pool,
            refusal: tools.refusal,
        };
        lane.run(&mut mover, &mut source.ready, &mut sink.ready, budget)
    }

    /// Passes the FIN of an ended lane on, or ends the link if this was the last thing to do.
    fn settle(&mut self, from: Side, tools: &Toolbox<'_>) -> Option<Outcome> {
        if self.phase(from) != Phase::Ended {
            return None;
        }
        if from == Side::Upstream {
            if let Some(watch) = self.watch.as_mut() {
                let grace = *watch.grace.get_or_insert(tools.now + GRACE);
                if let Some(verdict) = watch.verdict().cloned() {
                    return Some(self.judge(verdict));
                }
                if tools.now < grace {
                    return None;
                }
            }
        }
        let sink = &mut self.halves[from.other() as usize];
        // With the other lane done this is the last FIN, and closing the sockets sends it.
        let is_last = sink.lane.as_ref().is_some_and(|lane| lane.phase() == Phase::Done);
        if !is_last {
            if let Err(errno) = sink.channel.finish() {
                return Some(self.failure(from.other(), errno));
            }
        }
        if let Some(lane) = self.halves[from as usize].lane.as_mut() {
            lane.fin_passed();
        }
        is_last.then_some(Outcome::Clean)
    }

    /// The outcome of a link whose child has ended and whose output is delivered.
    fn judge(&mut self, verdict: Verdict) -> Outcome {
        match verdict {
            Verdict::Success if self.pending(Side::Downstream) == 0 => Outcome::Clean,
            Verdict::Success => Outcome::Reset(Side::Upstream),
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

    /// Ends the link if a side has announced an error that no lane is about to meet by itself.
    fn notice_errors(&mut self) -> Option<Outcome> {
        for side in [Side::Downstream, Side::Upstream] {
            let half = &self.halves[side as usize];
            if !half.ready.error() {
                continue;
            }
            if side == Side::Upstream && self.watch.is_some() {
                // The child reads no more; what it still has to say decides.
                self.halves[Side::Downstream as usize].lane.iter_mut().for_each(Lane::die);
                continue;
            }
            let meets_it = half.lane.as_ref().is_some_and(Lane::reads) && !half.channel.is_pair();
            // Once a pair's sink is closed by us, its error is of no interest.
            if !meets_it && half.channel.sink().is_some() {
                return Some(Outcome::Reset(side));
            }
        }
        None
    }

    fn fail(&mut self, side: Side, errno: nix::errno::Errno) -> Next {
        Next::End(self.failure(side, errno))
    }

    fn failure(&mut self, side: Side, errno: nix::errno::Errno) -> Outcome {
        self.detail = Some(errno.desc().to_owned());
        if is_reset(errno) {
            Outcome::Reset(side)
        } else {
            Outcome::Failed(side)
        }
    }

    fn explain(&mut self, error: OpenError) {
        self.detail = Some(error.detail);
    }

    /// What the link does when its deadline has come.
    pub(crate) fn expire(&mut self, limits: &Limits, tools: &mut Toolbox<'_>) -> Next {
        let now = tools.now;
        match &mut self.stage {
            Stage::Opening { .. } => {
                if now < self.accepted_at + limits.connect_timeout {
                    return Next::Wait;
                }
                let waited = limits.connect_timeout;
                self.detail = Some(format!("the upstream was not open within {waited:?}"));
                Next::End(Outcome::Expired(Limit::Connect))
            }
            Stage::Closing { kill_at, .. } => {
                if kill_at.is_some_and(|moment| moment <= now) {
                    *kill_at = None;
                    self.watch.iter_mut().for_each(|watch| watch.child.kill());
                }
                Next::Wait
            }
            Stage::Relaying => {
                if self.grace_is_over(now) {
                    return self.relay(tools);
                }
                let silent = |limit: Option<Duration>| {
                    limit.is_some_and(|limit| self.active_at + limit <= now)
                };
                if self.is_half_closed() && silent(limits.linger) {
                    Next::End(Outcome::Expired(Limit::Linger))
                } else if silent(limits.idle_timeout) {
                    Next::End(Outcome::Expired(Limit::Idle))
                } else {
                    Next::Wait
                }
            }
        }
    }

    /// If the grace of a child is over: makes its output end, if it is the child that has ended.
    fn grace_is_over(&mut self, now: Instant) -> bool {
        let Some(watch) = self.watch.as_mut() else { return false };
        if watch.grace.is_none_or(|grace| now < grace) {
            return false;
        }
        if watch.verdict().is_some() {
            let half = &mut self.halves[Side::Upstream as usize];
            if half.ready.readable() {
                // A slow reader is still being served.
                watch.grace = Some(now + GRACE);
            } else {
                watch.child.kill();
                half.lane.iter_mut().for_each(Lane::end_source);
            }
        }
        true
    }

    /// When the link next has to be looked at, computed from its state alone.
    pub(crate) fn wanted_deadline(&self, limits: &Limits) -> Option<Instant> {
        match &self.stage {
            Stage::Opening { .. } => Some(self.accepted_at + limits.connect_timeout),
            Stage::Closing { kill_at, .. } => *kill_at,
            Stage::Relaying => {
                let linger = limits.linger.filter(|_| self.is_half_closed());
                let silence = [linger, limits.idle_timeout].into_iter().flatten().min();
                let grace = self.watch.as_ref().and_then(|watch| watch.grace);
                let grace = grace.filter(|_| self.phase(Side::Upstream) != Phase::Done);
                [silence.map(|limit| self.active_at + limit), grace].into_iter().flatten().min()
            }
        }
    }

    /// Closes both sides in the way that `outcome` calls for. False if the link must stay until
    /// its child has been collected.
    pub(crate) fn close(&mut self, outcome: Outcome, tools: &mut Toolbox<'_>) -> bool {
        for side in [Side::Downstream, Side::Upstream] {
            // A side to which everything has been delivered, FIN included, must not lose it again
            // because the other side has reset since.
            let served = self.phase(side.other()) == Phase::Done
                || (side == Side::Downstream && outcome == Outcome::Clean);
            let half = &mut self.halves[side as usize];
            half.conduit.discard(tools.pool);
            match outcome {
                Outcome::Clean | Outcome::Reset(_) if served => {
                    std::mem::take(&mut half.channel).leave(tools.buffer);
                }
                _ => std::mem::take(&mut half.channel).abort(),
            }
        }
        match self.watch.as_mut() {
            Some(watch) if watch.verdict().is_none() => {
                watch.child.terminate();
                self.stage = Stage::Closing { outcome, kill_at: Some(tools.now + GRACE) };
                false
            }
            _ => true,
        }
    }

    fn close_further(&self, outcome: Outcome) -> Next {
        match self.watch.as_ref() {
            Some(watch) if watch.verdict().is_none() => Next::Wait,
            _ => Next::End(outcome),
        }
    }

    /// The outcome has been decided and only the child is waited for.
    pub(crate) fn is_closing(&self) -> bool {
        matches!(self.stage, Stage::Closing { .. })
    }

    fn is_half_closed(&self) -> bool {
        [Side::Downstream, Side::Upstream].iter().any(|side| self.phase(*side) != Phase::Flowing)
    }

    fn phase(&self, from: Side) -> Phase {
        self.halves[from as usize].lane.as_ref().map_or(Phase::Flowing, Lane::phase)
    }

    fn pending(&self, from: Side) -> u64 {
        self.halves[from as usize].lane.as_ref().map_or(0, Lane::pending)
    }

    /// The bytes of the lane that begins at `from`.
    pub(crate) fn traffic(&self, from: Side) -> crate::observer::Traffic {
        self.halves[from as usize].lane.as_ref().map(Lane::traffic).unwrap_or_default()
    }

    fn moved(&self) -> u64 {
        let of = |side| {
            let traffic = self.traffic(side);
            traffic.read + traffic.written
        };
        of(Side::Downstream) + of(Side::Upstream)
    }

    /// The pace at which a lane between these two sides begins.
    fn start_lane(&mut self, from: Side, splice: bool) {
        let source = self.halves[from as usize].channel.source().map(|end| end.kind);
        let sink = self.halves[from.other() as usize].channel.sink().map(|end| end.kind);
        let pace = match (source, sink) {
            (Some(source), Some(sink)) if splice && source.splices() && sink.splices() => {
                if source.is_pipe() || sink.is_pipe() {
                    Pace::Direct
                } else {
                    Pace::Copying { large: 0 }
                }
            }
            _ => Pace::CopyOnly,
        };
        self.halves[from as usize].lane = Some(Lane::new(pace));
    }
}
