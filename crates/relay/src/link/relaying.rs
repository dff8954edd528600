//! The second stage of a link: both lanes run, and what they find is judged.

use std::io;

use nix::errno::Errno;

use crate::channel::{is_reset, Channel};
use crate::conduit::LaneMover;
use crate::lane::{Budget, Lane, Phase, Stop};
use crate::open::{describe, OpenError, Verdict};
use crate::outcome::{Outcome, Side};
use crate::pace::Pace;
use crate::table::Port;
use crate::toolbox::Toolbox;
use crate::watch::GRACE;
use crate::watched::{reregister, Watched};

use super::{Link, Next};

impl Link {
    /// Runs both lanes and judges what they found.
    pub(super) fn relay(&mut self, tools: &mut Toolbox<'_>) -> Next {
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
        for side in [Side::Downstream, Side::Upstream] {
            if let Err(error) = self.watch_for_room(side, tools) {
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

    /// Watches a stream for writes from the first time it has no room.
    fn watch_for_room(&mut self, side: Side, tools: &Toolbox<'_>) -> io::Result<()> {
        let port = match side {
            Side::Downstream => Port::DownSource,
            Side::Upstream => Port::UpSource,
        };
        let half = &mut self.halves[side as usize];
        if half.ready.writable() || half.watched == Watched::Both {
            return Ok(());
        }
        if let Channel::Stream(socket, _) = &half.channel {
            reregister(tools.registry, socket, self.key.token(port), Watched::Both)?;
            half.watched = Watched::Both;
        }
        Ok(())
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
        if from == Side::Upstream && self.phase(from) == Phase::Done {
            // Its output had ended before; now the child has, and there is nobody to speak to.
            let verdict = self.watch.as_ref()?.verdict().cloned();
            // A child that neither reads nor writes any more has no use for a connection.
            let deaf = self.phase(Side::Downstream) == Phase::Dead;
            let verdict = verdict.or_else(|| deaf.then_some(Verdict::Success));
            return verdict.map(|verdict| self.judge(verdict));
        }
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
    pub(super) fn judge(&mut self, verdict: Verdict) -> Outcome {
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
            let room = self.halves[side.other() as usize].ready.writable();
            let reads = half.lane.as_ref().is_some_and(Lane::reads) && room;
            let meets_it = reads && !half.channel.is_pair();
            // Once a pair's sink is closed by us, its error is of no interest.
            if !meets_it && half.channel.sink().is_some() {
                return Some(Outcome::Reset(side));
            }
        }
        None
    }

    fn fail(&mut self, side: Side, errno: Errno) -> Next {
        Next::End(self.failure(side, errno))
    }

    fn failure(&mut self, side: Side, errno: Errno) -> Outcome {
        self.detail = Some(errno.desc().to_owned());
        if is_reset(errno) {
            Outcome::Reset(side)
        } else {
            Outcome::Failed(side)
        }
    }

    pub(super) fn explain(&mut self, error: OpenError) {
        self.detail = Some(error.detail);
    }

    /// The pace at which a lane between these two sides begins.
    pub(super) fn start_lane(&mut self, from: Side, splice: bool) {
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
