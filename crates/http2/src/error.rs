//! What goes wrong with frames and connections, and what the peer is told.

use std::fmt;

use crate::frame::{Kind, StreamId};
use crate::hpack::HpackError;

/// Why a stream or a connection was ended, as `RST_STREAM` and `GOAWAY` say it (RFC 9113, section
/// 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ErrorCode(pub u32);

impl ErrorCode {
    /// A normal end.
    pub const NO_ERROR: Self = Self(0);
    /// The peer has broken the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1);
    /// Something failed that is not the peer's doing.
    pub const INTERNAL_ERROR: Self = Self(2);
    /// More was sent than the window allowed, or a window became too large.
    pub const FLOW_CONTROL_ERROR: Self = Self(3);
    /// Settings were not acknowledged in time.
    pub const SETTINGS_TIMEOUT: Self = Self(4);
    /// A frame came for a stream that was ended.
    pub const STREAM_CLOSED: Self = Self(5);
    /// A frame has a length that it may not have.
    pub const FRAME_SIZE_ERROR: Self = Self(6);
    /// The stream was refused before anything was done for it.
    pub const REFUSED_STREAM: Self = Self(7);
    /// The stream is needed no more.
    pub const CANCEL: Self = Self(8);
    /// A header block cannot be decoded.
    pub const COMPRESSION_ERROR: Self = Self(9);
    /// A connection that was made by CONNECT was reset.
    pub const CONNECT_ERROR: Self = Self(10);
    /// The peer asks too much.
    pub const ENHANCE_YOUR_CALM: Self = Self(11);
    /// The connection is not secure enough.
    pub const INADEQUATE_SECURITY: Self = Self(12);
    /// HTTP/1.1 has to be used instead.
    pub const HTTP_1_1_REQUIRED: Self = Self(13);
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = usize::try_from(self.0).ok().and_then(|code| NAMES.get(code));
        match name {
            Some(name) => to.write_str(name),
            None => write!(to, "error code {}", self.0),
        }
    }
}

const NAMES: [&str; 14] = [
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
];

/// What a `GOAWAY` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Farewell {
    /// Why.
    pub code: ErrorCode,
    /// Text for people, at most [`Farewell::MOST_TEXT`] bytes of it; it may hold any characters.
    pub text: String,
}

impl Farewell {
    /// How much text is kept, in bytes.
    pub const MOST_TEXT: usize = 256;

    /// What a frame says.
    pub fn new(code: ErrorCode, debug: &[u8]) -> Self {
        let kept = debug.get(..Self::MOST_TEXT).unwrap_or(debug);
        Self { code, text: String::from_utf8_lossy(kept).into_owned() }
    }
}

impl fmt::Display for Farewell {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "GOAWAY {}", self.code)?;
        if !self.text.is_empty() {
            write!(to, ": {}", self.text)?;
        }
        Ok(())
    }
}

/// A frame that is not what its type asks for. Whoever wants to may end the connection where only
/// the stream is concerned (RFC 9113, section 5.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a malformed {kind} frame: {what}")]
pub struct FrameError {
    /// The type of the frame.
    pub kind: Kind,
    /// What is wrong.
    pub what: &'static str,
    /// What the peer is to be told.
    pub code: ErrorCode,
    /// The stream that is concerned; [`StreamId::CONNECTION`] where all are.
    pub concerns: StreamId,
}

/// Why a connection is over. The peer is to be told [`ConnectionError::code`] by a `GOAWAY`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionError {
    /// What came is an answer of HTTP/1.
    #[error("this is HTTP/1, not HTTP/2")]
    Http1,
    /// The first frame is not a `SETTINGS`.
    #[error("this is not HTTP/2: the first frame is {0}, not SETTINGS")]
    Preface(Kind),
    /// A frame is longer than was announced.
    #[error("a {kind} frame has {length} bytes, more than {most}")]
    FrameTooLong {
        /// The type of the frame.
        kind: Kind,
        /// The length that it announces.
        length: usize,
        /// The limit.
        most: usize,
    },
    /// A frame is not what its type asks for.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A header block was interrupted, or continued where there was none.
    #[error("a {0} frame came where a header block had to be continued")]
    BlockInterrupted(Kind),
    /// A `CONTINUATION` continues nothing, or the block of another stream.
    #[error("a CONTINUATION frame of stream {0} continues nothing")]
    ContinuesNothing(StreamId),
    /// A header block is longer than the limit, before it is decoded.
    #[error("a header block is longer than {0} bytes")]
    BlockTooLong(usize),
    /// A header block comes in more frames than the limit.
    #[error("a header block comes in more than {0} frames")]
    BlockTooScattered(usize),
    /// A header block cannot be decoded.
    #[error("a header block cannot be decoded: {0}")]
    Hpack(#[from] HpackError),
    /// A setting has a value that it may not have.
    #[error("setting {setting} cannot be {value}")]
    Setting {
        /// The number of the setting.
        setting: u16,
        /// The value.
        value: u32,
    },
    /// A frame is of a stream that cannot exist.
    #[error("a {kind} frame is of stream {stream}, which was never opened")]
    NoSuchStream {
        /// The type of the frame.
        kind: Kind,
        /// The stream.
        stream: StreamId,
    },
    /// The peer sent more than its window allowed.
    #[error("more was sent on stream {0} than its window allows")]
    WindowExceeded(StreamId),
    /// The peer opened a window further than a window can be.
    #[error("the window of stream {0} was opened beyond 2^31 - 1 bytes")]
    WindowOverflow(StreamId),
    /// The peer promised a push, which it was told not to do.
    #[error("a PUSH_PROMISE came, which was ruled out")]
    Push,
    /// The peer has closed the connection.
    #[error("the connection was closed")]
    Closed,
    /// The peer has closed the connection after a `GOAWAY`.
    #[error("the connection was closed after {0}")]
    ClosedAfter(Farewell),
}

impl ConnectionError {
    /// What the peer is told.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Http1
            | Self::Preface(_)
            | Self::BlockInterrupted(_)
            | Self::ContinuesNothing(_)
            | Self::NoSuchStream { .. }
            | Self::Push => ErrorCode::PROTOCOL_ERROR,
            Self::FrameTooLong { .. } => ErrorCode::FRAME_SIZE_ERROR,
            Self::Frame(error) => error.code,
            Self::BlockTooLong(_) | Self::BlockTooScattered(_) => ErrorCode::ENHANCE_YOUR_CALM,
            Self::Hpack(HpackError::ListTooLong(_)) => ErrorCode::ENHANCE_YOUR_CALM,
            Self::Hpack(_) => ErrorCode::COMPRESSION_ERROR,
            Self::Setting { setting, .. } if *setting == crate::settings::INITIAL_WINDOW_SIZE => {
                ErrorCode::FLOW_CONTROL_ERROR
            }
            Self::Setting { .. } => ErrorCode::PROTOCOL_ERROR,
            Self::WindowExceeded(_) | Self::WindowOverflow(_) => ErrorCode::FLOW_CONTROL_ERROR,
            Self::Closed | Self::ClosedAfter(_) => ErrorCode::NO_ERROR,
        }
    }
}

/// A payload that does not fit into one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a payload of {0} bytes does not fit into one frame")]
pub struct PayloadTooLong(pub usize);
