//! The means of a session while it takes in what its client has sent.

use std::time::Instant;

use crate::admission::Reason;

use super::name::StreamId;
use super::new_stream::NewStream;
use super::outbox::Outbox;
use super::queue::{Queue, Spares};
use super::streams::{Received, Streams};

/// The session's hold on its streams and its client, for one call.
#[derive(Debug)]
pub struct Ops<'a> {
    pub(super) now: Instant,
    pub(super) opens: Opens,
    pub(super) streams: &'a mut Streams,
    /// The number of streams that may be alive.
    pub(super) most: usize,
    pub(super) opened: &'a mut Vec<(StreamId, NewStream)>,
    pub(super) refused: &'a mut Vec<Reason>,
    pub(super) outbox: &'a mut Queue,
    pub(super) spares: &'a mut Spares,
}

/// Permission to open streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opens {
    Yes,
    /// Not any more: the loop drains.
    No,
}

/// A reason for which a stream was not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotOpened {
    /// The session has a stream of that name.
    #[error("there is a stream of that name")]
    NameTaken,
    /// The session has as many streams as it may have ([`super::SessionLimits::streams`]).
    #[error("the session has as many streams as it may have")]
    Full,
    /// The loop drains.
    #[error("the relay is draining and takes nothing new")]
    Draining,
}

impl Ops<'_> {
    /// The time of this turn.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// The frames that are sent to the client.
    pub fn out(&mut self) -> Outbox<'_> {
        Outbox { queue: self.outbox, spares: self.spares }
    }

    /// Counts the streams that are alive.
    pub fn streams(&self) -> usize {
        self.streams.len()
    }

    /// Opens a stream: it becomes the downstream of a link. It may be used at once; whether its
    /// upstream can be opened is told by [`Session::opened`](super::Session::opened) or
    /// [`Session::close`](super::Session::close).
    ///
    /// # Errors
    /// When the loop drains, when the session has as many streams as it may have (either is counted and
    /// told as a refusal), or when it has a stream of that name.
    pub fn open(&mut self, stream: StreamId, new: NewStream) -> Result<(), NotOpened> {
        if self.opens == Opens::No {
            self.refused.push(Reason::Draining);
            return Err(NotOpened::Draining);
        }
        if self.streams.len() >= self.most {
            self.refused.push(Reason::Streams);
            return Err(NotOpened::Full);
        }
        if !self.streams.open(stream, new.credit) {
            return Err(NotOpened::NameTaken);
        }
        self.opened.push((stream, new));
        Ok(())
    }

    /// Bytes have come for a stream.
    pub fn receive(&mut self, stream: StreamId, bytes: &[u8]) -> Received {
        self.streams.receive(stream, bytes, self.spares)
    }

    /// The client has ended what it sends on a stream.
    pub fn end(&mut self, stream: StreamId) {
        self.streams.end(stream);
    }

    /// The client has aborted a stream; `reason` goes into the record of its link.
    pub fn reset(&mut self, stream: StreamId, reason: impl Into<String>) {
        self.streams.reset(stream, reason.into());
    }

    /// Lets a stream send so many bytes more. A stream without a limit needs none.
    pub fn grant(&mut self, stream: StreamId, bytes: u64) {
        self.streams.grant(stream, bytes);
    }
}
