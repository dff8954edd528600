//! What a loop can be told about how to move bytes.

use crate::haul::LongBurst;

/// Settings of one loop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Whether splice(2) may be used. Without it every byte is copied through the loop's buffer:
    /// slower for bulk, but it works where another program has put the sockets into a sockmap or a
    /// seccomp filter denies splice.
    pub splice: bool,
    /// Wished size of a pipe, in bytes. The kernel rounds it up to a power of two and may grant
    /// less (`/proc/sys/fs/pipe-max-size`).
    pub pipe_size: usize,
    /// How many pipes may exist at once in this loop.
    pub max_pipes: usize,
    /// How many bytes of kernel memory the queues of all links' sockets may take in this loop, the
    /// least that each link needs apart. The more of it is in use, the shorter the queues of the next
    /// bulk link are. Loops that accept nobody do not use it. 0 leaves the queues to the kernel.
    pub socket_memory: usize,
    /// What a burst must be like for its source to be read by heaps instead of as bytes come.
    pub long_burst: LongBurst,
}

/// Pipes are held only while bytes are in them, so a large one costs little and halves the number
/// of system calls per megabyte compared with the next smaller size; beyond 1 MiB only root may
/// grow them (`pipe-max-size`).
pub const DEFAULT_PIPE_SIZE: usize = 1 << 20;

/// Enough for all bulk lanes that a loop can drive at once; more would only park bytes.
pub const DEFAULT_MAX_PIPES: usize = 256;

/// The queues are the kernel's to size. One that is made smaller while its peer sends drops what the
/// peer was told there is room for, and after a pause of the reader the peer's retransmission timer
/// has backed off: half a second without a byte was seen, which ends a link that lingers.
pub const DEFAULT_SOCKET_MEMORY: usize = 0;

impl Default for Settings {
    fn default() -> Self {
        Self {
            splice: true,
            pipe_size: DEFAULT_PIPE_SIZE,
            max_pipes: DEFAULT_MAX_PIPES,
            socket_memory: DEFAULT_SOCKET_MEMORY,
            long_burst: LongBurst::default(),
        }
    }
}
