//! The names of streams: within their session, and within the loop.

use crate::table::Key;

/// The name of a stream within its session, chosen by the session. It names one stream only for as
/// long as that one lives, which is until [`crate::Session::close`] was called for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u32);

/// Names a stream of a session of the loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StreamRef {
    pub(crate) session: Key,
    pub(crate) stream: StreamId,
}
