//! Links and sessions that are alive, as they are at one moment.
//!
//! Whoever asks a loop for them ([`crate::Handle::links`], [`crate::Handle::sessions`]) gets copies, and may take any time to look
//! at them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::labels::{Labels, LinkId, SessionId};
use crate::lane::traffic::Traffic;

/// A link as it is at one moment.
#[derive(Debug, Clone)]
pub struct Glimpse {
    /// Its identity.
    pub id: LinkId,
    /// Its labels.
    pub labels: Arc<Labels>,
    /// The session one of whose streams is its downstream, if there is one.
    pub session: Option<SessionId>,
    /// The backend that has opened the upstream, or is opening it.
    pub backend: &'static str,
    /// Address of the client; `None` for a downstream that was handed over.
    pub client: Option<SocketAddr>,
    /// The stage it has reached.
    pub stage: GlimpseStage,
    /// The means by which bytes of each side are moved at the moment, indexed by [`crate::Side`];
    /// `None` if none are.
    pub means: [Option<GlimpseMeans>; 2],
    /// Bytes from downstream to upstream.
    pub up: Traffic,
    /// Bytes from upstream to downstream.
    pub down: Traffic,
    /// From accept to the upstream being open; `None` if it is not yet.
    pub open_time: Option<Duration>,
    /// Since accept.
    pub age: Duration,
    /// Since a byte was moved.
    pub silence: Duration,
}

/// The means by which bytes are moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GlimpseMeans {
    /// Through a buffer of this process.
    Copy,
    /// By splice(2), within the kernel.
    Splice,
}

impl GlimpseMeans {
    /// The word for logs and lists.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Copy => "copy",
            Self::Splice => "splice",
        }
    }
}

/// A stage in the life of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GlimpseStage {
    /// The upstream is being opened.
    Opening,
    /// Bytes flow both ways.
    Open,
    /// One side has ended what it sends.
    HalfClosed,
    /// It is over, and a child is still to be collected.
    Closing,
}

impl GlimpseStage {
    /// The word for logs and lists.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Opening => "opening",
            Self::Open => "open",
            Self::HalfClosed => "half-closed",
            Self::Closing => "closing",
        }
    }
}

/// A session as it is at one moment.
#[derive(Debug, Clone)]
pub struct SessionGlimpse {
    /// Its identity.
    pub id: SessionId,
    /// The labels of its endpoint.
    pub endpoint: Arc<Labels>,
    /// Address of the client; `None` if it is not one of IP.
    pub client: Option<SocketAddr>,
    /// The state of its life.
    pub state: SessionState,
    /// Streams that are alive.
    pub streams: usize,
    /// Streams that it has opened so far.
    pub opened: u64,
    /// Bytes that its client has sent on streams.
    pub up: u64,
    /// Bytes that streams have sent to its client.
    pub down: u64,
    /// Bytes that its client has sent and no upstream has taken yet.
    pub unread: usize,
    /// Bytes that its client has not taken yet, frames and all.
    pub unsent: usize,
    /// Since accept.
    pub age: Duration,
    /// Since a byte of a stream has come or gone.
    pub silence: Duration,
}

/// A state in the life of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionState {
    /// The client is read, and streams may be opened.
    Serving,
    /// The same, but no stream is opened any more. Without streams and with nothing to send it is over.
    Draining,
    /// It is over, its streams are reset, and what is left to be sent is on its way for a limited time.
    /// What the client sends is not looked at any more.
    Leaving {
        /// The moment at which what is left is thrown away.
        until: Instant,
    },
    /// The socket is closed, and links of its streams have still to end.
    Gone,
}

impl SessionState {
    /// The word for logs and lists.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Serving => "serving",
            Self::Draining => "draining",
            Self::Leaving { .. } => "leaving",
            Self::Gone => "gone",
        }
    }
}
