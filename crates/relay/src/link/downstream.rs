//! Downstreams that are at hand, instead of being accepted.

use std::os::fd::OwnedFd;

use crate::link::conn::Conn;
use crate::net::fd::Kind;

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

impl Downstream {
    /// The side of a link that it becomes.
    pub(crate) fn into_conn(self) -> nix::Result<Conn> {
        match self {
            Self::Socket(socket) => {
                let kind = Kind::of(&socket)?;
                Ok(Conn::Socket(socket, kind))
            }
            Self::Pair { source, sink } => Conn::pair(source, sink),
        }
    }
}
