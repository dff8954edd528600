//! What a connection tells its owner.

use crate::error::{GoAwayStatus, ResetStatus};
use crate::headers::Headers;
use crate::streams::StreamId;

/// What has come from the peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<'a> {
    /// The peer has opened a stream. It waits for [`crate::Connection::reply`] or [`crate::Connection::reset`].
    Opened {
        /// Its number.
        stream: StreamId,
        /// What it is for.
        headers: Headers,
        /// The peer sends nothing on it.
        fin: bool,
        /// The peer takes nothing on it.
        unidirectional: bool,
    },
    /// The peer has answered to a stream of ours.
    Replied {
        /// Its number.
        stream: StreamId,
        /// What it says.
        headers: Headers,
        /// The peer sends nothing on it.
        fin: bool,
    },
    /// More headers of a stream.
    Headers {
        /// Its number.
        stream: StreamId,
        /// What they say.
        headers: Headers,
        /// The peer sends nothing more on it.
        fin: bool,
    },
    /// Bytes of a stream: a `DATA` frame, or a part of one.
    Data {
        /// Its number.
        stream: StreamId,
        /// The bytes; none if only the end has come.
        bytes: &'a [u8],
        /// The peer sends nothing more on it.
        fin: bool,
    },
    /// A stream is over: the peer has reset it, or has broken the protocol on it and was told so.
    Reset {
        /// Its number.
        stream: StreamId,
        /// Why.
        status: ResetStatus,
    },
    /// The peer has answered to a ping of ours.
    Pong {
        /// What [`crate::Connection::ping`] has answered.
        ping: u32,
    },
    /// The peer opens no stream any more, and takes none.
    GoAway {
        /// The last of our streams that it has done something for.
        last: StreamId,
        /// Why.
        status: GoAwayStatus,
    },
}
