//! The handshake: what a client asks for, and the answer (RFC 6455 section 4).
//!
//! Of the protocols that a client offers the first one that is spoken here is taken, and echoed to the
//! letter; those with other names, `v5.channel.k8s.io` among them, are passed over. A client that offers
//! none gets none echoed and speaks [`Protocol::UNNAMED`], as upstream. Extensions are declined by not
//! being mentioned. Who may connect, which `Origin` included, is the owner's to decide.

use base64::prelude::{Engine, BASE64_STANDARD};
use sha1::{Digest, Sha1};

use crate::protocol::Protocol;

/// What is hashed with the key (section 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The version of the protocol.
const VERSION: &str = "13";

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is no `GET`.
    #[error("a WebSocket begins with GET, not {0}")]
    Method(String),
    /// It does not ask for this.
    #[error(
        "the request asks for no WebSocket: it needs Connection: Upgrade and Upgrade: websocket"
    )]
    NoUpgrade,
    /// It asks for another version, or for none.
    #[error("only version 13 of WebSocket is spoken: Sec-WebSocket-Version has to say so")]
    Version,
    /// Its key is missing, stands twice, or is not what a key is.
    #[error("Sec-WebSocket-Key has to stand there once, with 16 bytes in base64")]
    Key,
    /// It offers protocols, but none that is spoken here.
    #[error("none of the offered protocols is spoken here, but {spoken} are")]
    Protocol {
        /// The names of those that are.
        spoken: String,
    },
}

impl Refused {
    /// The status of the answer.
    pub fn status(&self) -> u16 {
        match self {
            Self::Method(_) => 405,
            Self::NoUpgrade | Self::Key => 400,
            Self::Version => 426,
            // As upstream.
            Self::Protocol { .. } => 403,
        }
    }

    /// The header that belongs to the status, with its value (RFC 9110 section 15.5.6, RFC 6455 section 4.4).
    pub fn header(&self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Method(_) => Some(("Allow", "GET")),
            Self::Version => Some(("Sec-WebSocket-Version", VERSION)),
            Self::NoUpgrade | Self::Key | Self::Protocol { .. } => None,
        }
    }
}

/// A request that is accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// What is spoken from now on.
    pub protocol: Protocol,
    /// The head of the answer, with the empty line behind it.
    pub head: Vec<u8>,
}

/// Whether a request asks for a WebSocket, so that it is [`accept`]'s to answer.
pub fn is_asked_for(headers: &[(&str, &str)]) -> bool {
    has(headers, "connection", "upgrade") && has(headers, "upgrade", "websocket")
}

/// Answers a request with this method and these headers, whose names may be of any case.
///
/// # Errors
/// When it is no handshake, or none that can be accepted.
pub fn accept(method: &str, headers: &[(&str, &str)]) -> Result<Accepted, Refused> {
    if method != "GET" {
        return Err(Refused::Method(method.chars().take(20).collect()));
    }
    if !is_asked_for(headers) {
        return Err(Refused::NoUpgrade);
    }
    if single(headers, "sec-websocket-version") != Some(VERSION) {
        return Err(Refused::Version);
    }
    let is_key = |key: &&str| BASE64_STANDARD.decode(key).is_ok_and(|key| key.len() == 16);
    let key = single(headers, "sec-websocket-key").filter(is_key).ok_or(Refused::Key)?;
    let (protocol, name) = choose(headers)?;
    let mut head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {}\r\n",
        accept_key(key)
    );
    if let Some(name) = name {
        head.push_str(&format!("Sec-WebSocket-Protocol: {name}\r\n"));
    }
    head.push_str("\r\n");
    Ok(Accepted { protocol, head: head.into_bytes() })
}

/// What `Sec-WebSocket-Accept` says for a key.
pub fn accept_key(key: &str) -> String {
    let hash = Sha1::new().chain_update(key).chain_update(GUID).finalize();
    BASE64_STANDARD.encode(hash)
}

/// What is spoken, and what is echoed.
fn choose<'a>(headers: &'a [(&'a str, &'a str)]) -> Result<(Protocol, Option<&'a str>), Refused> {
    let mut offers = elements(headers, "sec-websocket-protocol").peekable();
    if offers.peek().is_none() {
        return Ok((Protocol::UNNAMED, None));
    }
    let mut spoken = offers.filter_map(|name| Some((Protocol::named(name)?, Some(name))));
    spoken.next().ok_or_else(|| Refused::Protocol {
        spoken: Protocol::names().collect::<Vec<_>>().join(", "),
    })
}

/// The values of all headers with this name.
fn values<'a>(
    headers: &'a [(&'a str, &'a str)],
    name: &'static str,
) -> impl Iterator<Item = &'a str> {
    let named = move |(each, _): &&(&str, &str)| each.eq_ignore_ascii_case(name);
    headers.iter().filter(named).map(|(_, value)| value.trim())
}

/// The elements of all headers with this name, which are lists.
fn elements<'a>(
    headers: &'a [(&'a str, &'a str)],
    name: &'static str,
) -> impl Iterator<Item = &'a str> {
    let elements = values(headers, name).flat_map(|value| value.split(',')).map(str::trim);
    elements.filter(|element| !element.is_empty())
}

fn has(headers: &[(&str, &str)], name: &'static str, element: &str) -> bool {
    elements(headers, name).any(|each| each.eq_ignore_ascii_case(element))
}

/// The value of the only header with this name.
fn single<'a>(headers: &'a [(&'a str, &'a str)], name: &'static str) -> Option<&'a str> {
    let mut values = values(headers, name);
    values.next().filter(|_| values.next().is_none())
}

#[cfg(test)]
mod tests;
