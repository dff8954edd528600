//! One session in its loop: the client's socket, the protocol, its streams and its outbox.
//!
//! Stages, each entered once:
//!
//! * `Serving`: the client is read, streams may be opened.
//! * `Draining`: the same, but no stream is opened any more. Without streams and with nothing to send
//!   the session is over.
//! * `Leaving`: the session is over, its streams are reset, and what is left in the outbox is on its
//!   way, for a limited time. What the client sends is not looked at any more.
//! * `Gone`: the socket is closed. The seat is kept until the links of its streams have ended.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use mio::{Registry, Token};
use nix::errno::Errno;

use crate::net::farewell::is_reset;
use crate::net::fd::{Descriptor, Kind};
use crate::net::interest::{register, Watched};
use crate::net::readiness::{Readiness, Ready};
use crate::outcome::{Outcome, Side};
use crate::table::{Key, Source};
use nsplice_sys::describe;

use super::ops::{Opens, Ops};
use super::outbox::Outbox;
use super::queue::{Queue, Spares};
use super::streams::Streams;
use super::{Ending, Life, NewStream, Session, SessionLimits, StreamId};

/// How much of what a client sends a session takes in in one turn: as often as this, a buffer full.
const READS_PER_TURN: usize = 4;

mod sending;

/// The life of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Serving,
    Draining,
    Leaving { until: Instant },
    Gone,
}

/// What a session needs after a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Need {
    /// To be told of an event, or its deadline.
    Wait,
    /// Another turn without waiting.
    Again,
    /// It is over.
    End(Outcome, Option<String>),
}

/// A session and what belongs to it.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) key: Key,
    /// Which of the loop's services it belongs to.
    pub(crate) service: Key,
    pub(crate) client: Option<SocketAddr>,
    pub(crate) began: Instant,
    /// The deadline that stands in the loop's set.
    pub(crate) deadline: Option<Instant>,
    /// On the loop's list of sessions that have a turn.
    pub(crate) queued: bool,
    /// On the list of those that are looked at at the end of the turn.
    pub(super) touched: bool,
    /// How it ended, once it has.
    pub(crate) outcome: Option<(Outcome, Option<String>)>,
    pub(crate) streams: Streams,
    /// Streams that have been opened and are not links yet.
    opened: Vec<(StreamId, NewStream)>,
    protocol: Box<dyn Session>,
    socket: Option<OwnedFd>,
    ready: Readiness,
    watched: Watched,
    /// The client has ended what it sends.
    has_ended: bool,
    outbox: Queue,
    limits: SessionLimits,
    stage: Stage,
}

impl Seat {
    /// The session of a client whose socket is O_NONBLOCK.
    pub(crate) fn new(
        key: Key,
        service: Key,
        client: Option<SocketAddr>,
        socket: OwnedFd,
        protocol: Box<dyn Session>,
        limits: SessionLimits,
        now: Instant,
    ) -> Self {
        Self {
            key,
            service,
            client,
            began: now,
            deadline: None,
            queued: false,
            touched: false,
            outcome: None,
            streams: Streams::new(limits),
            opened: Vec::new(),
            protocol,
            socket: Some(socket),
            ready: Readiness::of_accepted(),
            watched: Watched::Reads,
            has_ended: false,
            outbox: Queue::default(),
            limits,
            stage: Stage::Serving,
        }
    }

    /// Begins to wait for the client.
    pub(crate) fn start(&self, registry: &Registry) -> io::Result<()> {
        match &self.socket {
            Some(socket) => register(registry, socket, self.token(), self.watched),
            None => Ok(()),
        }
    }

    fn token(&self) -> Token {
        Source::Session(self.key).token()
    }

    /// Takes in what was reported of the client's socket.
    pub(crate) fn note(&mut self, ready: Ready) {
        self.ready.note_source(ready);
        self.ready.note_sink(ready);
    }

    /// Returns whether the protocol is asked and told.
    fn is_on(&self) -> bool {
        matches!(self.stage, Stage::Serving | Stage::Draining)
    }

    /// Returns whether nothing is left of it: neither the socket nor a stream.
    pub(crate) fn is_empty(&self) -> bool {
        self.stage == Stage::Gone && self.streams.is_empty()
    }

    /// Returns whether the client is to be read. Frames of streams never fill the outbox beyond its
    /// limit: who fills it up to twice that asks for answers and does not read them.
    fn may_read(&self) -> bool {
        self.is_on()
            && !self.has_ended
            && !self.streams.are_full()
            && self.outbox.len() < 2 * self.limits.outbox
    }

    /// Returns whether the client is to be read and has something to say.
    pub(crate) fn wants_turn(&self) -> bool {
        (self.may_read() && self.ready.readable()) || (self.is_on() && self.ready.error())
    }

    fn call(
        &mut self,
        now: Instant,
        spares: &mut Spares,
        call: impl FnOnce(&mut dyn Session, &mut Ops<'_>) -> Life,
    ) -> Need {
        if !self.is_on() {
            return Need::Wait;
        }
        let opens = if self.stage == Stage::Serving { Opens::Yes } else { Opens::No };
        let mut ops = Ops {
            now,
            opens,
            streams: &mut self.streams,
            opened: &mut self.opened,
            outbox: &mut self.outbox,
            spares,
        };
        match call(self.protocol.as_mut(), &mut ops) {
            Life::Goes => Need::Wait,
            Life::Over(outcome, detail) => Need::End(outcome, detail),
        }
    }

    /// Takes in what the client has sent, within a budget.
    pub(crate) fn turn(&mut self, buffer: &mut [u8], now: Instant, spares: &mut Spares) -> Need {
        for _ in 0..READS_PER_TURN {
            if !self.may_read() {
                // What cannot be read is not worth waiting for once the client has reset.
                let is_reset = self.is_on() && self.ready.error();
                let lost = Need::End(Outcome::Reset(Side::Downstream), None);
                return if is_reset { lost } else { Need::Wait };
            }
            let Some(socket) = self.socket.as_ref().filter(|_| self.ready.readable()) else {
                return Need::Wait;
            };
            let need = match (Descriptor { fd: socket.as_fd(), kind: Kind::STREAM }).read(buffer) {
                Ok(0) => {
                    self.has_ended = true;
                    self.ready.set_readable(false);
                    self.call(now, spares, |protocol, ops| protocol.end(ops))
                }
                Ok(read) => {
                    if read < buffer.len() {
                        self.ready.set_readable(self.ready.something_behind());
                    }
                    self.call(now, spares, |protocol, ops| protocol.receive(&buffer[..read], ops))
                }
                Err(Errno::EAGAIN) => {
                    self.ready.set_readable(false);
                    return Need::Wait;
                }
                Err(errno) => return lost_by(errno),
            };
            if need != Need::Wait {
                return need;
            }
        }
        if self.wants_turn() {
            Need::Again
        } else {
            Need::Wait
        }
    }

    /// Does what is due by the clock.
    pub(crate) fn expire(&mut self, now: Instant, spares: &mut Spares) -> Need {
        match self.wanted_deadline() {
            Some(deadline) if deadline <= now => {
                self.call(now, spares, |protocol, ops| protocol.expire(ops))
            }
            _ => Need::Wait,
        }
    }

    /// When the session has to be looked at next.
    pub(crate) fn wanted_deadline(&self) -> Option<Instant> {
        match self.stage {
            Stage::Serving | Stage::Draining => self.protocol.deadline(),
            Stage::Leaving { until } => Some(until),
            Stage::Gone => None,
        }
    }

    /// Opens no more streams, and ends the session with the last one.
    pub(crate) fn drain(&mut self, spares: &mut Spares) {
        if self.stage == Stage::Serving {
            self.stage = Stage::Draining;
            self.protocol.drain(&mut Outbox { queue: &mut self.outbox, spares });
        }
    }

    /// What is to be told to the links of the streams.
    pub(crate) fn take_news(&mut self) -> Vec<(Key, Ready)> {
        self.streams.take_news()
    }

    /// The streams that have been opened since the last time, to become links.
    pub(crate) fn take_opened(&mut self) -> Vec<(StreamId, NewStream)> {
        std::mem::take(&mut self.opened)
    }

    /// Bytes that streams may add to the outbox.
    pub(super) fn room(&self) -> usize {
        self.limits.outbox.saturating_sub(self.outbox.len())
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

/// The end of a session whose socket has failed.
fn lost_by(errno: Errno) -> Need {
    let outcome = if is_reset(errno) { Outcome::Reset } else { Outcome::Failed };
    Need::End(outcome(Side::Downstream), Some(describe(&errno.into())))
}
