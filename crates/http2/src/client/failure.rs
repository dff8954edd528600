//! Why a call came to nothing, or was not begun.

use crate::error::{ConnectionError, ErrorCode, Farewell};
use crate::grpc::Status;

/// The outcome of a call: its message, or why there is none.
pub type Outcome = Result<Vec<u8>, CallError>;

/// Why there is no answer to a call. The connection can be used for others.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The server says so.
    #[error("{0}")]
    Status(Status),
    /// The server has reset the call.
    #[error("the server reset the call: {0}")]
    Reset(ErrorCode),
    /// The server goes away, and has done nothing for this call.
    #[error("the server did not take the call: {0}")]
    GoneAway(Farewell),
    /// The answer is longer than the limit.
    #[error("the answer has {length} bytes, more than {most}")]
    TooLong {
        /// The length that it announces, in bytes.
        length: u32,
        /// The limit.
        most: usize,
    },
    /// The headers of the answer are longer than the limit, in bytes.
    #[error("the headers of the answer are longer than {0} bytes")]
    HeadersTooLong(usize),
    /// The answer is compressed, which nobody asked for.
    #[error("the answer is compressed")]
    Compressed,
    /// The answer is one of HTTP, but not of gRPC.
    #[error("this is not gRPC: the answer has {0}")]
    NotGrpc(String),
    /// The answer is not what one of gRPC has to be.
    #[error("the answer makes no sense: {0}")]
    Malformed(&'static str),
}

/// Why a call was not begun.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotSent {
    /// Another call runs.
    #[error("another call runs on this connection")]
    Busy,
    /// The server takes no further calls.
    #[error("the server takes no more calls: {0}")]
    GoingAway(Farewell),
    /// The connection is over.
    #[error(transparent)]
    Over(ConnectionError),
    /// All numbers of streams have been used.
    #[error("no number is left for another call")]
    Exhausted,
    /// The message is longer than 32 bits can say, in bytes.
    #[error("a message of {0} bytes is too long")]
    TooLong(usize),
}
