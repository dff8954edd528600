//! Links that are alive, as they are at one moment.
//!
//! Whoever asks a loop for them ([`crate::Handle::links`]) gets copies, and may take any time to look
//! at them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::labels::{Labels, LinkId};
use crate::observer::Traffic;

/// A link as it is at one moment.
#[derive(Debug, Clone)]
pub struct Glimpse {
    /// Its identity.
    pub id: LinkId,
    /// Its labels.
    pub labels: Arc<Labels>,
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
