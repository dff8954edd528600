//! One session in its loop: the client's socket, the protocol, its streams and its outbox.
//!
//! Its life goes one way ([`SessionState`]): it serves, may drain, leaves when it is over, and is gone
//! when its socket is closed. The seat is kept until the links of its streams have ended.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;

use nix::errno::Errno;
use nsplice_sys::describe;

use crate::admission::Reason;
use crate::forward::{Places, Terms};
use crate::glimpse::{SessionGlimpse, SessionState};
use crate::labels::SessionId;
use crate::net::farewell::is_reset;
use crate::net::fd::{Descriptor, Kind};
use crate::net::interest::Watched;
use crate::net::readiness::{Readiness, Wake};
use crate::observer::SessionRef;
use crate::outcome::{Outcome, Side};
use crate::source::{EventSource, Need, Order, SourceTurn};
use crate::table::Key;

use super::ops::{Opens, Ops};
use super::outbox::Outbox;
use super::queue::{Queue, Spares};
use super::streams::Streams;
use super::{Client, Ending, Life, NewStream, Session, SessionLimits, StreamId, StreamRef};

/// The number of times that a session reads in one turn, a buffer full each.
const READS_PER_TURN: usize = 4;

mod sending;

/// A session and what belongs to it.
#[derive(Debug)]
pub(crate) struct Seat {
    key: Key,
    pub(crate) id: SessionId,
    /// Which of the loop's services it belongs to.
    pub(crate) service: Key,
    pub(crate) terms: SessionTerms,
    pub(crate) client: Client,
    pub(crate) began: Instant,
    /// When a byte of a stream has come or gone, and how many had by then.
    active: (Instant, [u64; 2]),
    /// How it ended, once it has.
    pub(crate) outcome: Option<(Outcome, Option<String>)>,
    pub(crate) streams: Streams,
    /// Streams that the protocol has opened in the call that it is in.
    opened: Vec<(StreamId, NewStream)>,
    /// The reasons for which others were not.
    refused: Vec<Reason>,
    protocol: Box<dyn Session>,
    socket: Option<OwnedFd>,
    ready: Readiness,
    watched: Watched,
    /// The client has ended what it sends.
    has_ended: bool,
    outbox: Queue,
    state: SessionState,
}

/// The terms that a session was accepted on. They are its own until it ends, whatever becomes of the
/// service meanwhile.
#[derive(Debug)]
pub(crate) struct SessionTerms {
    /// Those of the links of its streams, where a stream has none of its own.
    pub(crate) links: Arc<Terms>,
    pub(crate) limits: SessionLimits,
    pub(crate) places: Arc<Places>,
}

impl Seat {
    /// The session of a client whose socket is O_NONBLOCK.
    pub(crate) fn new(
        (key, id, service): (Key, SessionId, Key),
        terms: SessionTerms,
        client: Client,
        socket: OwnedFd,
        protocol: Box<dyn Session>,
        now: Instant,
    ) -> Self {
        Self {
            key,
            id,
            service,
            client,
            began: now,
            active: (now, [0; 2]),
            outcome: None,
            streams: Streams::new(terms.limits),
            terms,
            opened: Vec::new(),
            refused: Vec::new(),
            protocol,
            socket: Some(socket),
            ready: Readiness::of_accepted(),
            watched: Watched::Reads,
            has_ended: false,
            outbox: Queue::default(),
            state: SessionState::Serving,
        }
    }

    /// Its names.
    pub(crate) fn names(&self) -> SessionRef<'_> {
        let Client { local, address } = self.client;
        SessionRef { id: self.id, endpoint: &self.terms.links.labels, local, client: address }
    }

    /// The session as it is now.
    pub(crate) fn glimpse(&self, now: Instant) -> SessionGlimpse {
        let [up, down] = self.streams.carried();
        SessionGlimpse {
            id: self.id,
            endpoint: Arc::clone(&self.terms.links.labels),
            client: self.client.address,
            state: self.state,
            streams: self.streams.len(),
            opened: self.streams.opened(),
            up,
            down,
            unread: self.streams.queued(),
            unsent: self.outbox.len(),
            age: now.saturating_duration_since(self.began),
            silence: now.saturating_duration_since(self.active.0),
        }
    }

    /// Returns whether the protocol is asked and told.
    fn is_on(&self) -> bool {
        matches!(self.state, SessionState::Serving | SessionState::Draining)
    }

    /// Returns whether the client is to be read. Frames of streams never fill the outbox beyond its
    /// limit: who fills it up to twice that asks for answers and does not read them.
    fn may_read(&self) -> bool {
        self.is_on()
            && !self.has_ended
            && !self.streams.are_full()
            && self.outbox.len() < 2 * self.terms.limits.outbox
    }

    /// The need of the loop for the client to be read.
    fn need(&self) -> Need {
        let reads = self.may_read() && self.ready.readable();
        if reads || (self.is_on() && self.ready.error()) {
            Need::Again
        } else {
            Need::Wait
        }
    }

    /// Lets the protocol do something, and does what it then wants; false if it is over with that.
    fn call(
        &mut self,
        turn: &mut SourceTurn<'_>,
        call: impl FnOnce(&mut dyn Session, &mut Ops<'_>) -> Life,
    ) -> bool {
        if !self.is_on() {
            return false;
        }
        let opens = if self.state == SessionState::Serving { Opens::Yes } else { Opens::No };
        let mut ops = Ops {
            now: turn.now,
            opens,
            streams: &mut self.streams,
            most: self.terms.limits.streams,
            opened: &mut self.opened,
            refused: &mut self.refused,
            outbox: &mut self.outbox,
            spares: turn.spares,
        };
        match call(self.protocol.as_mut(), &mut ops) {
            Life::Goes => true,
            Life::Over(outcome, detail) => {
                self.end((outcome, detail), turn);
                false
            }
        }
    }

    /// Takes in what the client has sent, within a budget.
    fn take_in(&mut self, turn: &mut SourceTurn<'_>) {
        for _ in 0..READS_PER_TURN {
            if !self.may_read() {
                // What cannot be read is not worth waiting for once the client has reset.
                if self.is_on() && self.ready.error() {
                    self.end((Outcome::Reset(Side::Downstream), None), turn);
                }
                return;
            }
            let Some(socket) = self.socket.as_ref().filter(|_| self.ready.readable()) else {
                return;
            };
            let sent = (Descriptor { fd: socket.as_fd(), kind: Kind::STREAM }).read(turn.buffer);
            let goes = match sent {
                Ok(0) => {
                    self.has_ended = true;
                    self.ready.set_readable(false);
                    self.call(turn, |protocol, ops| protocol.end(ops))
                }
                Ok(read) => {
                    if read < turn.buffer.len() {
                        self.ready.set_readable(self.ready.something_behind());
                    }
                    let buffer = std::mem::take(&mut turn.buffer);
                    let goes =
                        self.call(turn, |protocol, ops| protocol.receive(&buffer[..read], ops));
                    turn.buffer = buffer;
                    goes
                }
                Err(Errno::EAGAIN) => {
                    self.ready.set_readable(false);
                    return;
                }
                Err(errno) => {
                    self.end(lost_by(errno), turn);
                    false
                }
            };
            if !goes {
                return;
            }
        }
    }

    /// Gives the loop its orders: links of the streams that have been opened, and news for the links
    /// that there are.
    fn give_orders(&mut self, turn: &mut SourceTurn<'_>) {
        let session = self.key;
        let opened = std::mem::take(&mut self.opened)
            .into_iter()
            .map(|(stream, new)| Order::Open(StreamRef { session, stream }, Box::new(new)));
        let news = self.streams.take_news().into_iter();
        let refused = self.refused.drain(..).map(|reason| Order::Refuse(session, reason));
        turn.orders.extend(refused);
        turn.orders.extend(opened.chain(news.map(|(link, wake)| Order::Note(link, wake))));
    }

    /// Bytes that streams may add to the outbox.
    pub(super) fn room(&self) -> usize {
        self.terms.limits.outbox.saturating_sub(self.outbox.len())
    }

    /// Sends bytes of a stream's.
    pub(super) fn send(&mut self, stream: StreamId, bytes: &[u8], spares: &mut Spares) {
        if self.is_on() {
            let mut out = Outbox { queue: &mut self.outbox, spares };
            self.protocol.send(stream, bytes, &mut out);
        }
    }

    pub(super) fn opened(&mut self, stream: StreamId, spares: &mut Spares) {
        if self.is_on() {
            self.protocol.opened(stream, &mut Outbox { queue: &mut self.outbox, spares });
        }
    }

    /// A stream sends no more.
    pub(super) fn finish(&mut self, stream: StreamId, spares: &mut Spares) {
        if self.streams.finish(stream) && self.is_on() {
            self.protocol.finish(stream, &mut Outbox { queue: &mut self.outbox, spares });
        }
    }

    /// A stream is over.
    pub(super) fn close(&mut self, stream: StreamId, ending: Ending<'_>, spares: &mut Spares) {
        if ending == Ending::Left {
            self.finish(stream, spares);
        }
        self.streams.remove(stream, spares);
        if self.is_on() {
            let mut out = Outbox { queue: &mut self.outbox, spares };
            self.protocol.close(stream, ending, &mut out);
        }
    }
}

impl EventSource for Seat {
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.socket.as_ref().map(AsFd::as_fd)
    }

    fn watched(&self) -> Watched {
        self.watched
    }

    fn wake(&mut self, wake: Wake, turn: &mut SourceTurn<'_>) -> Need {
        self.ready.note_source(wake);
        self.ready.note_sink(wake);
        self.take_in(turn);
        self.give_orders(turn);
        self.need()
    }

    fn flush(&mut self, turn: &mut SourceTurn<'_>) -> Need {
        let waits = self.send_out(turn);
        self.give_orders(turn);
        let carried = self.streams.carried();
        if carried != self.active.1 {
            self.active = (turn.now, carried);
        }
        if self.is_empty() {
            return Need::Over;
        }
        if waits {
            return Need::Again;
        }
        self.need()
    }

    /// The deadline that the protocol has asked for, or the end of the time for its last words.
    fn deadline(&self) -> Option<Instant> {
        match self.state {
            SessionState::Serving | SessionState::Draining => self.protocol.deadline(),
            SessionState::Leaving { until } => Some(until),
            SessionState::Gone => None,
        }
    }

    fn expire(&mut self, turn: &mut SourceTurn<'_>) -> Need {
        self.call(turn, |protocol, ops| protocol.expire(ops));
        self.give_orders(turn);
        Need::Wait
    }

    /// Opens no more streams, and ends with the last one.
    fn drain(&mut self, turn: &mut SourceTurn<'_>) -> Need {
        if self.state == SessionState::Serving {
            self.state = SessionState::Draining;
            let spares = &mut *turn.spares;
            self.protocol.drain(&mut Outbox { queue: &mut self.outbox, spares });
        }
        Need::Wait
    }

    fn unwatched(&mut self, error: &io::Error, turn: &mut SourceTurn<'_>) -> Need {
        self.end((Outcome::Failed(Side::Downstream), Some(describe(error))), turn);
        self.give_orders(turn);
        Need::Wait
    }

    fn keeps_loop(&self) -> bool {
        true
    }
}

/// The end of a session whose socket has failed.
fn lost_by(errno: Errno) -> (Outcome, Option<String>) {
    let outcome = if is_reset(errno) { Outcome::Reset } else { Outcome::Failed };
    (outcome(Side::Downstream), Some(describe(&errno.into())))
}
