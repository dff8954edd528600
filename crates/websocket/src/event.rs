//! What a connection tells its owner.

use crate::error::CloseStatus;
use crate::ports::Channel;

/// What has come from the peer on a [`crate::Socket`].
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// Bytes of a message: a frame, or a part of one.
    Data {
        /// The bytes, unmasked; none if only the end has come.
        bytes: &'a mut [u8],
        /// The message ends here.
        fin: bool,
    },
    /// The peer has answered to a ping of ours.
    Pong {
        /// What [`crate::Socket::ping`] has answered.
        ping: u32,
    },
    /// The peer has closed the connection. Nothing comes any more; when the output has been sent, the
    /// transport is closed by the server.
    Closed {
        /// Why, if it says so.
        status: Option<CloseStatus>,
        /// Why in words, at most 123 bytes.
        reason: String,
    },
}

/// What has come from the client on [`crate::Channels`].
#[derive(Debug, PartialEq, Eq)]
pub enum ChannelEvent<'a> {
    /// Bytes for a port, at least one.
    Data {
        /// The channel that the port has.
        channel: Channel,
        /// The bytes.
        bytes: &'a [u8],
    },
    /// The client has answered to a ping of ours.
    Pong {
        /// What [`crate::Channels::ping`] has answered.
        ping: u32,
    },
    /// The client has closed the connection, and with it all channels.
    Closed {
        /// Why, if it says so.
        status: Option<CloseStatus>,
        /// Why in words, at most 123 bytes.
        reason: String,
    },
}
