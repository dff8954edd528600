//! A downstream on its way to become a link.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use crate::labels::SessionId;
use crate::link::conn::Conn;
use crate::open::Opener;

/// Where the descriptors of a side come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Origin {
    /// They were accepted or opened here, and nobody else has them.
    #[default]
    Ours,
    /// They were handed over: others may hold them, too.
    HandedOver,
}

/// A downstream that is to become a link.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) conn: Conn,
    /// The address that was listened on.
    pub(crate) local: Option<SocketAddr>,
    /// Who connected.
    pub(crate) client: Option<SocketAddr>,
    /// The session whose stream it is.
    pub(crate) session: Option<SessionId>,
    pub(crate) origin: Origin,
    /// Opens its upstream; the service's own opener does if there is none.
    pub(crate) opener: Option<Box<dyn Opener>>,
}

impl Arrival {
    /// One that was accepted at `local`.
    pub(crate) fn accepted(
        socket: OwnedFd,
        local: Option<SocketAddr>,
        client: Option<SocketAddr>,
    ) -> Self {
        let (conn, origin) = (Conn::stream(socket), Origin::Ours);
        Self { conn, local, client, session: None, origin, opener: None }
    }

    /// One that was handed over instead of accepted.
    pub(crate) fn handed_over(conn: Conn) -> Self {
        let origin = Origin::HandedOver;
        Self { conn, local: None, client: None, session: None, origin, opener: None }
    }
}
