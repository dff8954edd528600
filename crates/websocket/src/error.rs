//! What goes wrong, and what the peer is told.

use std::fmt;

/// Why a connection is closed, as a close frame says it (RFC 6455 section 7.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CloseStatus(u16);

impl CloseStatus {
    /// A normal end.
    pub const NORMAL: Self = Self(1000);
    /// The end that says so is going down.
    pub const GOING_AWAY: Self = Self(1001);
    /// The peer has broken the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// A message is of a kind that is not taken.
    pub const UNSUPPORTED_DATA: Self = Self(1003);
    /// What a message holds is not what its kind asks for.
    pub const INVALID_PAYLOAD: Self = Self(1007);
    /// The peer does what is not allowed.
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// Something failed that is not the peer's doing.
    pub const INTERNAL_ERROR: Self = Self(1011);

    /// The number that stands in the frame.
    pub fn number(self) -> u16 {
        self.0
    }

    /// The status with this number, if it is one that may stand in a frame: 1004 to 1006 and 1015 are
    /// not, nor are those that nobody has given a sense (section 7.4.2, and the registry of IANA for
    /// 1012 to 1014).
    pub(crate) fn received(number: u16) -> Option<Self> {
        matches!(number, 1000..=1003 | 1007..=1014 | 3000..=4999).then_some(Self(number))
    }
}

impl fmt::Display for CloseStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why a connection is over. The peer is told by a close frame with [`ConnectionError::status`], which
/// `read` has put into the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionError {
    /// Bits of a frame are set that only an extension may set, and none was agreed on.
    #[error("reserved bits of a frame are set, but no extension was agreed on")]
    Reserved,
    /// A frame is of a kind that does not exist.
    #[error("a frame has the opcode {0}, which does not exist")]
    Opcode(u8),
    /// A client's frame is not masked.
    #[error("a frame of a client is not masked")]
    Unmasked,
    /// A server's frame is masked.
    #[error("a frame of a server is masked")]
    Masked,
    /// A control frame has more than 125 bytes.
    #[error("a control frame has more than 125 bytes")]
    ControlTooLong,
    /// A control frame comes in parts.
    #[error("a control frame is fragmented")]
    ControlFragmented,
    /// The length of a frame is written with more bytes than it needs.
    #[error("the length {0} of a frame is not written in the shortest way")]
    LengthNotShortest(u64),
    /// The length of a frame has its highest bit set.
    #[error("the length of a frame has its highest bit set")]
    LengthTooHigh,
    /// A continuation comes when there is nothing to continue.
    #[error("a frame continues a message, but none has begun")]
    NothingToContinue,
    /// A message begins within another one.
    #[error("a message begins before the one before it has ended")]
    Interrupted,
    /// The payload of a close frame has one byte.
    #[error("the status of a close frame has one byte instead of two")]
    CloseTooShort,
    /// The status of a close frame may not stand there.
    #[error("a close frame has the status {0}, which must not be sent")]
    CloseStatus(u16),
    /// The reason in a close frame is not text.
    #[error("the reason in a close frame is not UTF-8")]
    CloseReason,
    /// A message is text where only binary ones have a sense.
    #[error("a message is text, but the protocol is binary")]
    Text,
    /// A message of `v4.base64.channel.k8s.io` is not base64.
    #[error("the message on channel {0} is not base64")]
    Base64(u8),
    /// A server has announced another port than the one that was asked for.
    #[error("channel {channel} is for port {port}, not {asked}")]
    Port {
        /// The channel.
        channel: u8,
        /// What the server has said.
        port: u16,
        /// What was asked for.
        asked: u16,
    },
}

impl ConnectionError {
    /// What the peer is told.
    pub fn status(&self) -> CloseStatus {
        match self {
            Self::Text => CloseStatus::UNSUPPORTED_DATA,
            Self::Base64(_) | Self::CloseReason => CloseStatus::INVALID_PAYLOAD,
            _ => CloseStatus::PROTOCOL_ERROR,
        }
    }
}

/// Why something was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotSent {
    /// The connection is closed or being closed, or the channel has ended.
    #[error("the connection or the channel is closed for sending")]
    Closed,
    /// The bytes have to be masked or encoded, so they cannot follow a head as they are.
    #[error("bytes that have to be masked or encoded cannot be sent behind a head of their own")]
    NotPlain,
}
