//! What goes wrong, by whom it concerns and what the peer is told.

/// What a `RST_STREAM` says (section 2.6.3 of the draft).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ResetStatus(pub u32);

impl ResetStatus {
    /// The peer has broken the protocol on this stream.
    pub const PROTOCOL_ERROR: Self = Self(1);
    /// A frame was for a stream that is not open.
    pub const INVALID_STREAM: Self = Self(2);
    /// The stream was refused before anything was done for it.
    pub const REFUSED_STREAM: Self = Self(3);
    /// The version of SPDY is not supported.
    pub const UNSUPPORTED_VERSION: Self = Self(4);
    /// Whoever opened the stream needs it no more.
    pub const CANCEL: Self = Self(5);
    /// Something failed that is not the peer's doing.
    pub const INTERNAL_ERROR: Self = Self(6);
    /// More was sent than the receiver takes.
    pub const FLOW_CONTROL_ERROR: Self = Self(7);
    /// There is a stream with this number.
    pub const STREAM_IN_USE: Self = Self(8);
    /// Data came after the end.
    pub const STREAM_ALREADY_CLOSED: Self = Self(9);
}

/// What a `GOAWAY` says (section 2.6.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GoAwayStatus(pub u32);

impl GoAwayStatus {
    /// A normal end.
    pub const OK: Self = Self(0);
    /// The peer has broken the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1);
    /// Something failed that is not the peer's doing.
    pub const INTERNAL_ERROR: Self = Self(2);
}

/// Why a connection is over. The peer is told by a `GOAWAY` with [`ConnectionError::status`], which
/// [`crate::Connection::read`] has put into the output.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionError {
    /// A control frame is of another version than 3.
    #[error("a frame is of SPDY version {0}, not 3")]
    Version(u16),
    /// A control frame is longer than the limit.
    #[error("a control frame of type {kind} has {length} bytes, more than {most}")]
    FrameTooLong {
        /// The type of the frame.
        kind: u16,
        /// The length that it announces.
        length: usize,
        /// The limit.
        most: usize,
    },
    /// The payload of a control frame is not what its type asks for.
    #[error("a control frame of type {0} is malformed")]
    Malformed(u16),
    /// A header block cannot be inflated, or is not what it should be when it is.
    #[error("a header block is malformed: {0}")]
    HeaderBlock(&'static str),
    /// A header block is longer than the limit when it is inflated.
    #[error("a header block inflates to more than {0} bytes")]
    HeaderBlockTooLong(usize),
    /// The number of a stream of the peer does not rise, or has the wrong parity.
    #[error("stream {0} cannot be opened by the peer: its number is not the next")]
    StreamNumber(u32),
}

impl ConnectionError {
    /// What the peer is told.
    pub fn status(&self) -> GoAwayStatus {
        GoAwayStatus::PROTOCOL_ERROR
    }
}

/// Why something was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotSent {
    /// The stream is not open, or was ended or reset by either side.
    #[error("the stream is not open for sending")]
    Closed,
    /// The connection is over, or the peer has said that it takes no new streams.
    #[error("the connection takes no new streams")]
    GoingAway,
    /// All numbers of streams have been used.
    #[error("no number is left for another stream")]
    Exhausted,
    /// What is to be sent does not fit into a frame.
    #[error("a frame holds less than that")]
    TooLong,
}
