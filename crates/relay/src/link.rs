//! A link: two sides, two lanes, one life.
//!
//! States, each entered once:
//!
//! * `Opening`: the downstream is there, the upstream is being opened. Nothing is read from the
//!   downstream; its FIN is left in the queue, its RST cancels the opening.
//! * `Relaying`: the lanes run. The link ends `Clean` when both FINs have been passed on, or by the
//!   first reset, failure or time limit.
//! * `Delivering`: the child behind the upstream has had its say, but the client has not got all of
//!   it yet. Only links with a child come here.
//! * `Closing`: the outcome is decided and both sides are closed, but a child is still to be
//!   collected.
//!
//! A link never touches the loop's tables. It is called with events, writers and times, and answers
//! with a [`Next`].

use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::forward::Terms;
use crate::glimpse::{Glimpse, GlimpseMeans, GlimpseStage};
use crate::labels::{Descriptors, Labels, LinkId, LinkRef, SessionId};
use crate::lane::end::End;
use crate::lane::traffic::Traffic;
use crate::lane::{Lane, Phase};
use crate::link::arrival::Arrival;
use crate::link::child::Watch;
use crate::link::half::Half;
use crate::link::policy::{Endings, LinkPolicy, Owner};
use crate::net::readiness::{Readiness, Wake};
use crate::observer::Work;
use crate::open::{Attempt, Hold, Opener};
use crate::outcome::{Outcome, Side};
use crate::relay::budget::Grant;
use crate::table::{Key, Port};
use crate::turn::Turn;

pub(crate) mod arrival;
pub(crate) mod child;
mod close;
pub(crate) mod conn;
mod decide;
mod delivering;
pub(crate) mod downstream;
mod half;
mod open;
pub(crate) mod policy;
mod transfer;
mod unheard;
pub(crate) mod writers;

/// The needs of a link after a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Wait for an event or the deadline.
    Wait,
    /// Another turn without waiting.
    Again,
    /// Another attempt to open the upstream, with the descriptors of the loop's reserve.
    OpenFromReserve,
    /// The link is over.
    End(Outcome),
}

/// The life of a link.
#[derive(Debug)]
enum LinkState {
    Opening { attempt: Box<dyn Attempt>, wake: Wake, registered: bool, chance: Chance },
    Relaying,
    Delivering { outcome: Outcome, owed: usize, next: Instant, tick: Duration },
    Closing { outcome: Outcome, push: Option<(Instant, Push)> },
}

impl LinkState {
    fn opening(attempt: Box<dyn Attempt>, chance: Chance) -> Self {
        Self::Opening { attempt, wake: Wake::START, registered: false, chance }
    }
}

/// The number of times that an upstream may be tried to open for want of descriptors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chance {
    /// Once more, from the reserve.
    First,
    /// Not again.
    Last,
}

/// The next push for a child that has not ended although its link is over.
#[derive(Debug, Clone, Copy)]
enum Push {
    Terminate,
    Kill,
}

/// One relayed connection.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) key: Key,
    pub(crate) id: LinkId,
    /// The service's, and what has been found out of the target.
    pub(crate) labels: Arc<Labels>,
    /// Which of the loop's services it belongs to.
    pub(crate) service: Key,
    pub(crate) terms: Arc<Terms>,
    pub(crate) client: Option<SocketAddr>,
    /// The session whose stream its downstream is.
    session: Option<SessionId>,
    /// The deadline that stands in the loop's set.
    pub(crate) deadline: Option<Instant>,
    /// On the loop's ready list.
    pub(crate) queued: bool,
    /// From the clock, not from the turn: backends are compared by the time they take to open, and
    /// setns opens within a turn.
    pub(crate) accepted_at: Instant,
    pub(crate) open_time: Option<Duration>,
    /// The descriptors of both sides as they were when bytes began to flow.
    descriptors: Descriptors,
    pub(crate) detail: Option<String>,
    /// What was being done when a side failed.
    pub(crate) work: Option<Work>,
    /// Opens the upstream, if it is not the service's opener that does.
    pub(crate) opener: Option<Box<dyn Opener>>,
    /// Its part of the loop's socket memory.
    pub(crate) grant: Grant,
    policy: Arc<LinkPolicy>,
    active_at: Instant,
    /// When to look again although nothing has happened.
    recheck: Option<Instant>,
    state: LinkState,
    /// Indexed by [`Side`].
    halves: [Half; 2],
    watch: Option<Box<Watch>>,
    /// Kept for the upstream until the link is buried.
    holds: Vec<Box<dyn Hold>>,
}

impl Link {
    /// A link whose upstream is about to be opened by `attempt`.
    pub(crate) fn new(
        key: Key,
        id: LinkId,
        service: Key,
        terms: Arc<Terms>,
        arrival: Arrival,
        attempt: Box<dyn Attempt>,
        now: Instant,
    ) -> Self {
        let ready = Readiness::of_accepted();
        let Arrival { conn, client, session, origin, opener, .. } = arrival;
        let downstream = Half { conn, origin, ready, ..Half::default() };
        Self {
            key,
            id,
            labels: Arc::clone(&terms.labels),
            service,
            client,
            session,
            deadline: None,
            queued: false,
            accepted_at: now,
            open_time: None,
            descriptors: Descriptors::default(),
            detail: None,
            work: None,
            opener,
            grant: Grant::default(),
            policy: Arc::clone(&terms.policy),
            terms,
            active_at: now,
            recheck: None,
            state: LinkState::opening(attempt, Chance::First),
            halves: [downstream, Half::default()],
            watch: None,
            holds: Vec::new(),
        }
    }

    /// Its names.
    pub(crate) fn names(&self) -> LinkRef<'_> {
        let Self { id, session, descriptors, .. } = *self;
        LinkRef { id, labels: &self.labels, session, descriptors }
    }

    /// The descriptor that the client's bytes come from.
    pub(crate) fn downstream(&self) -> Option<BorrowedFd<'_>> {
        self.halves[Side::Downstream as usize].conn.source()?.descriptor().map(|source| source.fd)
    }

    /// Takes in what was reported of one of the link's ends.
    pub(crate) fn note(&mut self, port: Port, report: Wake) {
        match (port, &mut self.state) {
            (Port::UpSource, LinkState::Opening { wake, .. }) => wake.add(report),
            (Port::DownSource, _) => self.note_side(Side::Downstream, Port::DownSource, report),
            (Port::DownSink, _) => self.note_side(Side::Downstream, Port::DownSink, report),
            (Port::UpSource, _) => self.note_side(Side::Upstream, Port::UpSource, report),
            (Port::UpSink, _) => self.note_side(Side::Upstream, Port::UpSink, report),
            (Port::Exit, _) => self.watch.iter_mut().for_each(|watch| watch.note_exit()),
            (Port::Diagnostics, _) => {
                self.watch.iter_mut().for_each(|watch| watch.note_diagnostics());
            }
        }
    }

    fn note_side(&mut self, side: Side, port: Port, report: Wake) {
        let half = &mut self.halves[side as usize];
        let is_sink_only = matches!(port, Port::DownSink | Port::UpSink);
        if !is_sink_only {
            half.ready.note_source(report);
        }
        if is_sink_only || !half.conn.is_pair() {
            half.ready.note_sink(report);
        }
    }

    /// One turn: moves what can be moved.
    pub(crate) fn turn(&mut self, turn: &mut Turn<'_>) -> Next {
        let busy = self.watch.as_mut().is_some_and(|watch| watch.attend(turn.now));
        let next = match self.state {
            LinkState::Opening { .. } => self.open_further(turn),
            LinkState::Relaying => self.relay(turn),
            LinkState::Delivering { .. } => self.deliver_further(turn.now),
            LinkState::Closing { .. } => self.close_further(turn.sessions),
        };
        match next {
            Next::Wait if busy => Next::Again,
            next => next,
        }
    }

    /// Nobody else is writing any more to what the links of the forward share.
    pub(crate) fn take_turn(&mut self) {
        for (half, owner) in self.halves.iter_mut().zip(self.policy.owners) {
            if owner == Owner::Forward {
                half.ready.set_writable(true);
            }
        }
    }

    /// Something that the link holds wants it to end.
    pub(crate) fn is_let_go(&self) -> bool {
        self.holds.iter().any(|hold| hold.lets_go())
    }

    /// The outcome has been decided and only the child is waited for.
    pub(crate) fn is_closing(&self) -> bool {
        matches!(self.state, LinkState::Closing { .. })
    }

    /// The link as it is now.
    pub(crate) fn glimpse(&self, now: Instant) -> Glimpse {
        let stage = match self.state {
            LinkState::Opening { .. } => GlimpseStage::Opening,
            LinkState::Relaying if self.is_half_closed() => GlimpseStage::HalfClosed,
            LinkState::Delivering { .. } => GlimpseStage::HalfClosed,
            LinkState::Relaying => GlimpseStage::Open,
            LinkState::Closing { .. } => GlimpseStage::Closing,
        };
        Glimpse {
            id: self.id,
            labels: Arc::clone(&self.labels),
            session: self.session,
            backend: self.terms.backend,
            client: self.client,
            stage,
            means: [Side::Downstream, Side::Upstream].map(|from| self.means(from)),
            up: self.traffic(Side::Downstream),
            down: self.traffic(Side::Upstream),
            open_time: self.open_time,
            age: now.saturating_duration_since(self.accepted_at),
            silence: now.saturating_duration_since(self.active_at),
        }
    }

    /// The descriptors that both sides have now.
    fn numbers(&self) -> Descriptors {
        let number = |end: Option<End<'_>>| Some(end?.descriptor()?.fd.as_raw_fd());
        let sides = [Side::Downstream, Side::Upstream];
        let conns = sides.map(|side| &self.halves[side as usize].conn);
        let sinks = conns.map(|conn| number(conn.sink()));
        Descriptors { sources: conns.map(|conn| number(conn.source())), sinks }
    }

    fn is_gentle(&self) -> bool {
        matches!(self.policy.endings, Endings::Gentle(_))
    }

    /// Returns whether `side` has ended its stream, or nobody takes it any more.
    fn has_ended(&self, side: Side) -> bool {
        self.phase(side) != Phase::Flowing
    }

    fn is_half_closed(&self) -> bool {
        [Side::Downstream, Side::Upstream].into_iter().any(|side| self.has_ended(side))
    }

    fn phase(&self, from: Side) -> Phase {
        self.halves[from as usize].lane.as_ref().map_or(Phase::Flowing, Lane::phase)
    }

    /// The means by which the bytes that come from a side are moved.
    fn means(&self, from: Side) -> Option<GlimpseMeans> {
        let lane = self.halves[from as usize].lane.as_ref();
        let lane = lane.filter(|lane| matches!(lane.phase(), Phase::Flowing | Phase::Draining))?;
        Some(if lane.splices() { GlimpseMeans::Splice } else { GlimpseMeans::Copy })
    }

    fn pending(&self, from: Side) -> u64 {
        self.halves[from as usize].lane.as_ref().map_or(0, Lane::pending)
    }

    /// The bytes of the lane that begins at `from`.
    pub(crate) fn traffic(&self, from: Side) -> Traffic {
        self.halves[from as usize].lane.as_ref().map(Lane::traffic).unwrap_or_default()
    }

    /// The bytes of both lanes, from the downstream first.
    pub(crate) fn carried(&self) -> [Traffic; 2] {
        [Side::Downstream, Side::Upstream].map(|from| self.traffic(from))
    }

    /// The work that has been done so far: two values are the same if nothing has happened in between, that
    /// is no byte has been moved, no side has ended, and no end has been passed on.
    fn progress(&self) -> [(Traffic, Phase); 2] {
        [Side::Downstream, Side::Upstream].map(|side| (self.traffic(side), self.phase(side)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forward::Forward;
    use crate::link::arrival::Origin;
    use crate::link::conn::Conn;
    use crate::open::testing::never;
    use crate::table::Table;
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_client_without_an_address_is_not_handed_over() {
        let pair = || UnixStream::pair().unwrap().0.into();
        let terms = Forward::new(Labels::default(), never()).into_parts().terms;
        for (arrival, origin) in [
            (Arrival::accepted(pair(), None, None), Origin::Ours),
            (Arrival::handed_over(Conn::stream(pair())), Origin::HandedOver),
        ] {
            let mut table = Table::new();
            let key = table.insert(|_| ());
            let attempt = never().open(None);
            let (id, terms) = (LinkId::next(), Arc::clone(&terms));
            let mut link = Link::new(key, id, key, terms, arrival, attempt, Instant::now());
            link.start_lane(Side::Downstream, true);
            assert_eq!(link.halves[Side::Downstream as usize].origin, origin);
        }
    }
}
