//! Filters: changes to the bytes of a lane on their way.
//!
//! A lane with a filter copies, because splice(2) never shows the bytes. The books of such a lane
//! count what the filter gives, not what it takes.

use std::fmt::Debug;

/// Changes, watches or ends the bytes of one lane.
pub trait Filter: Debug + Send {
    /// The most bytes it wants to see at once; at least 1.
    fn block(&self) -> usize;

    /// Takes `bytes`, as they were read, and appends to `out` what is to be written instead.
    fn pass(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Pass;
}

/// The decision of a filter about a lane that has given it some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// More may come.
    More,
    /// These bytes are the last: the source counts as ended.
    End,
}
