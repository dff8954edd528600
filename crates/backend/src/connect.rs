//! The way to an upstream by a socket of our own: where it is born, what it connects to, and the race of
//! the addresses.

pub(crate) mod candidates;
pub(crate) mod connecting;
pub(crate) mod handshake;
pub(crate) mod opener;
pub(crate) mod resolver;
pub(crate) mod route;
pub(crate) mod sizes;
pub(crate) mod socket_pool;
