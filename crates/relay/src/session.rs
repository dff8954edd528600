//! Sessions: one client socket that carries many streams, each of which is a side of a link.
//!
//! A session is not a link, but each of its streams is the downstream of one. A *stream* is a socket
//! that lives in user space: it has a receive queue with a cap, a credit for what it may send, an end
//! and a reset in each direction, and edges of readiness. A lane does not know the difference: an
//! empty queue is EAGAIN, the end of the stream is a read of 0 bytes, its reset is ECONNRESET, and a
//! stream without credit is full.
//!
//! Who speaks a protocol implements [`Session`] and does no I/O: it is given the bytes that the
//! client has sent, says through [`Ops`] what they mean for its streams, and is asked for the frames
//! that go to the client, which it puts into an [`Outbox`]. The loop reads and writes the socket, so
//! that the rules of edge-triggered readiness, budgets, fairness and bounds stand in one place.
//!
//! In a turn: events, then sessions take in what their clients have sent, then links run, then each
//! session whose outbox has something is flushed once.
//!
//! What bounds a session ([`SessionLimits`]):
//!
//! * it has so many streams at once and no more. One beyond that is not opened, and nothing else
//!   happens to the session;
//! * towards the upstream each stream has a receive queue. What does not fit ends that stream, and no
//!   other one. When all queues together hold too much, the client's socket is not read until they
//!   hold less;
//! * towards the client a stream may send what its credit ([`Ops::grant`]) and the outbox allow. A lane
//!   whose stream has neither does not read the upstream's socket;
//! * a client that sends and does not read what it is answered is read no more while the outbox is
//!   full.
//!
//! An idle stream owns no buffer, and neither does an idle session.

use std::fmt::Debug;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use crate::admission::{Admission, Reason};
use crate::forward::Places;
use crate::labels::Labels;
use crate::outcome::Outcome;
use crate::relay::counters::Counters;

pub(crate) use self::name::StreamRef;

pub use self::limits::SessionLimits;
pub use self::name::StreamId;
pub use self::new_stream::NewStream;
pub use self::ops::{NotOpened, Ops};
pub use self::outbox::Outbox;

pub(crate) mod limits;
pub(crate) mod name;
pub(crate) mod new_stream;
pub(crate) mod ops;
pub(crate) mod outbox;
pub(crate) mod queue;
pub(crate) mod seat;
pub(crate) mod sessions;
pub(crate) mod streams;

/// A protocol that carries many streams over one connection, without I/O.
///
/// Nothing here may block. Whatever is put into an [`Outbox`] is sent at the end of the turn.
pub trait Session: Debug + Send {
    /// Takes in what the client has sent: a part of its byte stream that begins and ends anywhere.
    fn receive(&mut self, bytes: &[u8], ops: &mut Ops<'_>) -> Life;

    /// The client has ended what it sends.
    fn end(&mut self, ops: &mut Ops<'_>) -> Life {
        let _ = ops;
        Life::Over(Outcome::Clean, None)
    }

    /// The upstream of a stream is open.
    fn opened(&mut self, stream: StreamId, out: &mut Outbox<'_>) {
        let _ = (stream, out);
    }

    /// Sends bytes of a stream to the client.
    fn send(&mut self, stream: StreamId, bytes: &[u8], out: &mut Outbox<'_>);

    /// Tells the client that a stream sends no more (the FIN). Called at most once for each stream.
    fn finish(&mut self, stream: StreamId, out: &mut Outbox<'_>);

    /// A stream is over, and its name is free again. Called once for each stream; after
    /// [`Ending::Left`] the client has everything, the end included.
    fn close(&mut self, stream: StreamId, ending: Ending<'_>, out: &mut Outbox<'_>);

    /// The moment at which [`Session::expire`] is to be called. Asked after each call that may have changed it.
    fn deadline(&self) -> Option<Instant> {
        None
    }

    /// The deadline has come.
    fn expire(&mut self, ops: &mut Ops<'_>) -> Life {
        let _ = ops;
        Life::Goes
    }

    /// The loop drains: no stream is opened any more. The session may say good-bye to its client; it
    /// is over as soon as it has neither streams nor anything to send.
    fn drain(&mut self, out: &mut Outbox<'_>) {
        let _ = out;
    }
}

/// A word on the life of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Life {
    /// It does.
    Goes,
    /// It is over: its streams are reset, what it has put into its outbox is sent, and its socket is
    /// closed. With the words that go into its record.
    Over(Outcome, Option<String>),
}

/// The way in which a side of a link is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending<'a> {
    /// It has got everything, and the end behind it.
    Left,
    /// It is aborted, as by RST.
    Aborted {
        /// How the link ended.
        outcome: Outcome,
        /// The reason, where there is more to say than the outcome.
        detail: Option<&'a str>,
    },
}

/// Makes sessions of the clients of a listener.
pub trait Endpoint: Debug + Send {
    /// Makes the session of a client that has just been admitted.
    ///
    /// # Errors
    /// The reason for which the client is refused after all.
    fn accept(&mut self, client: &Client) -> Result<Box<dyn Session>, Reason>;
}

/// A client of an endpoint.
#[derive(Debug, Clone, Copy)]
pub struct Client {
    /// The address that was listened on, if it is one of IP.
    pub local: Option<SocketAddr>,
    /// Who has connected, if that is an address of IP.
    pub address: Option<SocketAddr>,
}

/// An endpoint as one loop holds it.
#[derive(Debug)]
pub struct EndpointService {
    /// What it is about; and its links, where their stream has no labels of its own.
    pub labels: Arc<Labels>,
    /// Makes the sessions.
    pub endpoint: Box<dyn Endpoint>,
    /// Decides who may have a session, and what its streams may reach; without one everybody may, and
    /// everything.
    pub admission: Option<Box<dyn Admission>>,
    /// What bounds each session.
    pub session: SessionLimits,
    /// The number of sessions that may be alive at once; shared between the loops that serve it. A
    /// client for whom there is no place is refused by RST, and counted.
    pub sessions: Arc<Places>,
    /// The number of links that its streams may be at once, those of all sessions together; shared
    /// between the loops that serve it. A stream for which there is no place is reset, and counted.
    pub places: Arc<Places>,
    /// The books of the service; shared between the loops that serve it.
    pub counters: Arc<Counters>,
}
