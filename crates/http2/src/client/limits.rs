//! What a server may make a client grow to.

/// The bounds of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The message of an answer, in bytes. A longer one fails its call, before it is received.
    pub answer: usize,
    /// A header block before it is decoded, in bytes.
    pub header_block: usize,
    /// The frames that a header block may come in.
    pub header_frames: usize,
    /// A header list, in bytes as RFC 7541 counts them.
    pub header_list: usize,
    /// The window of the connection and of each call, in bytes.
    pub window: u32,
}

impl Default for Limits {
    /// Answers of 16 MiB, which is what a kubelet takes.
    fn default() -> Self {
        Self {
            answer: 16 << 20,
            header_block: 64 << 10,
            header_frames: 16,
            header_list: 64 << 10,
            window: 1 << 20,
        }
    }
}
