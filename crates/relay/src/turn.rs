//! Per-turn state that a loop lends to a link.

use std::time::Instant;

use mio::Registry;
use nix::errno::Errno;

use crate::admission::Admission;
use crate::lane::low_water::LongBurst;
use crate::lane::pipe::PipePool;
use crate::link::writers::Writers;
use crate::observer::Observer;
use crate::relay::clock::Clock;
use crate::relay::counters::Counters;
use crate::source::sources::EventSources;

/// The shared things that moving bytes needs.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    /// The time of this turn; read once.
    pub(crate) now: Instant,
    pub(crate) clock: &'a Clock,
    pub(crate) registry: &'a Registry,
    /// The copy buffer. Holds nothing between two steps.
    pub(crate) buffer: &'a mut [u8],
    pub(crate) pool: &'a mut PipePool,
    /// The sources of events, sessions among them, whose streams may be sides of links.
    pub(crate) sessions: &'a mut EventSources,
    /// Permission for new lanes to splice.
    pub(crate) splice: bool,
    /// The burst that raises the low-water mark of a source.
    pub(crate) long_burst: &'a LongBurst,
    /// The observer of the loop.
    pub(crate) observer: &'a mut dyn Observer,
    /// Of the descriptors that the links of the forward share, if they do.
    pub(crate) writers: &'a mut Writers,
    /// Who decides on the clients of the service.
    pub(crate) admission: Option<&'a mut dyn Admission>,
    pub(crate) counters: &'a Counters,
    /// Set when splice(2) was refused.
    pub(crate) refusal: &'a mut Option<Errno>,
}
