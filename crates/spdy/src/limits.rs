//! What a peer may make a connection grow to.

/// The bounds of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Streams of the peer that are open at once. One more is refused, and the connection goes on.
    pub streams: usize,
    /// The payload of a control frame, in bytes; a longer one ends the connection. It is kept until
    /// it is whole.
    pub control_frame: usize,
    /// A header block when it is inflated, in bytes; a longer one ends the connection, because what
    /// follows cannot be inflated any more.
    pub header_block: usize,
    /// Headers in a block.
    pub headers: usize,
}

impl Default for Limits {
    /// A thousand streams; what kubectl sends is a hundredth of the others.
    fn default() -> Self {
        Self { streams: 1000, control_frame: 16 << 10, header_block: 64 << 10, headers: 64 }
    }
}
