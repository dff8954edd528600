//! Downstreams that are at hand, instead of being accepted.

use std::os::fd::OwnedFd;

/// A downstream that is handed over instead of accepted.
#[derive(Debug)]
pub enum Downstream {
    /// A stream socket, both ways.
    Socket(OwnedFd),
    /// Two descriptors: pipes, sockets, files or terminals. Closing the sink is its FIN.
    Pair {
        /// The descriptor that bytes come from.
        source: OwnedFd,
        /// The descriptor that bytes go to.
        sink: OwnedFd,
    },
}
