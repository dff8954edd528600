//! The reports of a relay to its owner while it runs.
//!
//! The relay does not log. It calls an [`Observer`] at the few moments that matter: a link came, a
//! link ended, something got in the way. The owner decides what becomes a line, a metric or
//! nothing. Calls come from the loop's thread and must not block it.

use std::fmt::Debug;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::admission::Reason;
use crate::labels::{Labels, LinkRef, SessionId};
use crate::lane::traffic::Traffic;
use crate::outcome::{Outcome, Side};
use crate::relay::service::ServiceReport;

/// Told what happens in one loop.
pub trait Observer: Debug + Send {
    /// A link was accepted.
    fn accepted(&mut self, link: &Accepted<'_>) {
        let _ = link;
    }

    /// The upstream of a link is open and bytes begin to flow.
    fn relaying(&mut self, link: LinkRef<'_>) {
        let _ = link;
    }

    /// A side of a link has reset, and that counts as the end of what it sends (see
    /// [`crate::Endings::Gentle`]).
    fn side_reset(&mut self, link: LinkRef<'_>, side: Side, error: &io::Error) {
        let _ = (link, side, error);
    }

    /// A side of a link has ended what it sends, and everything before that has been delivered.
    fn side_ended(&mut self, link: LinkRef<'_>, side: Side) {
        let _ = (link, side);
    }

    /// A link has ended; each accepted link ends exactly once.
    fn ended(&mut self, record: &Record<'_>) {
        let _ = record;
    }

    /// A client of an endpoint has become a session; each ends exactly once.
    fn session_began(&mut self, session: &SessionRef<'_>) {
        let _ = session;
    }

    /// A session has ended, and so have the links of all its streams.
    fn session_ended(&mut self, record: &SessionRecord<'_>) {
        let _ = record;
    }

    /// A report was ordered (see [`crate::SourceTurn::report`]): what one of the links that are alive has
    /// carried so far.
    fn carrying(&mut self, link: LinkRef<'_>, up: Traffic, down: Traffic) {
        let _ = (link, up, down);
    }

    /// All links that are alive have been reported.
    fn reported(&mut self) {}

    /// A service has been retired and its last link has ended: this is the last that is told of it.
    fn service_stopped(&mut self, service: &ServiceReport) {
        let _ = service;
    }

    /// Something got in the way. A peer can cause some of these as often as it likes, so whoever
    /// logs them limits their rate.
    fn trouble(&mut self, trouble: &Trouble<'_>) {
        let _ = trouble;
    }
}

/// An observer that looks away.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {}

/// A link that has just been accepted.
#[derive(Debug, Clone, Copy)]
pub struct Accepted<'a> {
    /// The link.
    pub link: LinkRef<'a>,
    /// The address that was listened on; `None` for a downstream that was handed over.
    pub local: Option<SocketAddr>,
    /// Address of the client; `None` for a downstream that was handed over.
    pub client: Option<SocketAddr>,
}

/// The whole life of a link, told at its end.
#[derive(Debug, Clone)]
pub struct Record<'a> {
    /// The link.
    pub link: LinkRef<'a>,
    /// The backend that opened the upstream, or tried to.
    pub backend: &'static str,
    /// Address of the client; `None` for a downstream that was handed over.
    pub client: Option<SocketAddr>,
    /// The way it ended.
    pub outcome: Outcome,
    /// The reason, where there is more to say than the outcome.
    pub detail: Option<&'a str>,
    /// The work that was being done when a side failed; `None` if none did.
    pub work: Option<Work>,
    /// Bytes from downstream to upstream.
    pub up: Traffic,
    /// Bytes from upstream to downstream.
    pub down: Traffic,
    /// From accept to the upstream being open; `None` if it never was.
    pub open_time: Option<Duration>,
    /// From accept to the end.
    pub duration: Duration,
}

/// A session by its names.
#[derive(Debug, Clone, Copy)]
pub struct SessionRef<'a> {
    /// Its identity.
    pub id: SessionId,
    /// The labels of its endpoint.
    pub endpoint: &'a Labels,
    /// The address that was listened on, if it is one of IP.
    pub local: Option<SocketAddr>,
    /// Address of the client, if it is one of IP.
    pub client: Option<SocketAddr>,
}

/// The whole life of a session, told at its end.
#[derive(Debug, Clone)]
pub struct SessionRecord<'a> {
    /// The session.
    pub session: SessionRef<'a>,
    /// The way it ended.
    pub outcome: Outcome,
    /// The reason, where there is more to say than the outcome.
    pub detail: Option<&'a str>,
    /// Streams that it has opened.
    pub streams: u64,
    /// Bytes that its client has sent on streams.
    pub up: u64,
    /// Bytes that streams have sent to its client.
    pub down: u64,
    /// From accept to the end.
    pub duration: Duration,
}

/// A piece of work on a side of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Bytes are taken from it.
    Read,
    /// Bytes are given to it, or it is told that there are no more.
    Write,
}

/// Trouble of a loop, as opposed to that of one link.
#[derive(Debug)]
pub enum Trouble<'a> {
    /// Accepting stopped because the process or the system is out of descriptors or memory. Links
    /// that exist go on; waiting clients stay in the listener's backlog.
    AcceptPaused {
        /// The error that accept(2) or the reserve met.
        error: &'a io::Error,
    },
    /// Accepting goes on.
    AcceptResumed {
        /// The time for which accepting was paused.
        paused: Duration,
    },
    /// accept(2) failed for one client only (ECONNABORTED and its kin).
    AcceptFailed {
        /// Whose client it was.
        labels: &'a Labels,
        /// The error of accept(2).
        error: &'a io::Error,
    },
    /// A client was refused when it came, or a stream of its session when it was opened.
    Refused {
        /// Whose client it was.
        labels: &'a Labels,
        /// Address of the client that was refused.
        client: Option<SocketAddr>,
        /// Why.
        reason: Reason,
    },
    /// splice(2) or its pipes are not to be had here; this loop copies from now on.
    SpliceUnavailable {
        /// The error of splice(2).
        error: &'a io::Error,
    },
}
