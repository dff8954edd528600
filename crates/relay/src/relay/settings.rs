//! Settings of a loop: how it moves bytes.

use crate::lane::low_water::LongBurst;
use crate::net::queues::share_of_machine;
use crate::relay::clock::Clock;

/// Settings of one loop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Permission to use splice(2). Without it every byte is copied through the loop's buffer:
    /// slower for bulk, but it works where another program has put the sockets into a sockmap or a
    /// seccomp filter denies splice.
    pub splice: bool,
    /// Wished size of a pipe, in bytes. The kernel rounds it up to a power of two and may grant
    /// less (`/proc/sys/fs/pipe-max-size`).
    pub pipe_size: usize,
    /// The number of pipes that may exist at once in this loop.
    pub max_pipes: usize,
    /// Bytes of kernel memory that the queues of all links' sockets may take in this loop, the least
    /// that each needs apart (see [`crate::queues`]): those of listeners at loopback addresses, and of
    /// upstreams whose opener can size them. `None` leaves all sizes to the kernel.
    pub socket_memory: Option<usize>,
    /// The burst it takes for its source to be read a raised mark at a time instead of as bytes
    /// come.
    pub long_burst: LongBurst,
    /// The clock that tells it the time.
    pub clock: Clock,
    /// True if the loop goes on although it has neither a listener nor a link, because services may
    /// still be added. It then returns when it is drained or stopped.
    pub stays: bool,
}

/// Pipes are held only while bytes are in them, so a large one costs little and halves the number
/// of system calls per megabyte compared with the next smaller size; beyond 1 MiB only root may
/// grow them (`pipe-max-size`).
pub const DEFAULT_PIPE_SIZE: usize = 1 << 20;

/// Enough for all bulk lanes that a loop can drive at once; more would only park bytes.
pub const DEFAULT_MAX_PIPES: usize = 256;

impl Default for Settings {
    fn default() -> Self {
        Self {
            splice: true,
            pipe_size: DEFAULT_PIPE_SIZE,
            max_pipes: DEFAULT_MAX_PIPES,
            socket_memory: Some(share_of_machine()),
            long_burst: LongBurst::default(),
            clock: Clock::default(),
            stays: false,
        }
    }
}
