//! What is spoken on a connection, and what clients call it.

use crate::messages::Coding;

/// What is spoken on a connection after the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// `SPDY/3.1+portforward.k8s.io`: the payloads of binary messages, joined, are SPDY/3.1. Where one
    /// message ends has no sense, and a close frame is the end of the bytes.
    Tunnel,
    /// The channels of [`crate::Channels`].
    Channels(Coding),
}

/// The names of those that are spoken, as they stand in `Sec-WebSocket-Protocol`.
const NAMES: [(&str, Protocol); 3] = [
    ("SPDY/3.1+portforward.k8s.io", Protocol::Tunnel),
    ("v4.channel.k8s.io", Protocol::Channels(Coding::Binary)),
    ("v4.base64.channel.k8s.io", Protocol::Channels(Coding::Base64)),
];

impl Protocol {
    /// What is spoken with a client that offers none.
    pub const UNNAMED: Self = Self::Channels(Coding::Binary);

    /// The protocol with this name, to the letter.
    pub fn named(name: &str) -> Option<Self> {
        NAMES.iter().find(|(each, _)| *each == name).map(|(_, protocol)| *protocol)
    }

    /// The names of all.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(name, _)| *name)
    }
}
