//! The bounds of a session.

/// The bounds of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLimits {
    /// The number of streams that may be alive at once. One more is not opened
    /// ([`crate::NotOpened::Full`]), and counted.
    pub streams: usize,
    /// Bytes that the receive queue of a stream may hold. What a client sends beyond that ends the stream.
    pub stream_queue: usize,
    /// Bytes that the receive queues of all streams may hold before the client is read no more. One read
    /// may exceed it.
    pub session_queue: usize,
    /// Bytes that may wait to be sent to the client before streams must wait. Frames without bytes of a
    /// stream may exceed it.
    pub outbox: usize,
}

impl Default for SessionLimits {
    /// A stream may hold what a socket on loopback may hold at least; a session 16 of them. Streams
    /// there may be more than any page or pool of connections asks for, and fewer than descriptors.
    fn default() -> Self {
        Self { streams: 4096, stream_queue: 1 << 20, session_queue: 16 << 20, outbox: 256 * 1024 }
    }
}
