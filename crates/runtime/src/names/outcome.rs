//! What comes of a look-up: addresses and where they are from, or why there are none, with everything
//! that was asked on the way.

use std::fmt;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use nsplice_sys::describe;

use super::exchange::Replies;
use super::message::Reply;

/// The addresses of a name; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The likeliest to be reached first.
    pub addresses: Vec<IpAddr>,
    /// Who knows them.
    pub origin: Origin,
    /// What was asked on the way.
    pub asked: Vec<Asked>,
}

/// Who knows an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// It was given as an address.
    Literal,
    /// This line of the hosts file, from 1.
    Hosts(usize),
    /// Everybody: it is a name of the machine itself.
    Loopback,
    /// A server, under this whole name.
    Server {
        /// The server.
        server: SocketAddr,
        /// The name that it was asked for.
        name: String,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal => f.write_str("an address"),
            Self::Hosts(line) => write!(f, "/etc/hosts, line {line}"),
            Self::Loopback => f.write_str("localhost"),
            Self::Server { server, name } => write!(f, "{server}, as {name}"),
        }
    }
}

impl Found {
    pub(super) fn literal(address: IpAddr) -> Self {
        Self { addresses: vec![address], origin: Origin::Literal, asked: Vec::new() }
    }

    pub(super) fn in_hosts(line: usize, addresses: Vec<IpAddr>) -> Self {
        Self { addresses, origin: Origin::Hosts(line), asked: Vec::new() }
    }

    pub(super) fn loopback(addresses: Vec<IpAddr>) -> Self {
        Self { addresses, origin: Origin::Loopback, asked: Vec::new() }
    }

    pub(super) fn told(
        server: SocketAddr,
        name: String,
        addresses: Vec<IpAddr>,
        asked: Vec<Asked>,
    ) -> Self {
        Self { addresses, origin: Origin::Server { server, name }, asked }
    }
}

/// One name that one server was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The whole name, without a last dot.
    pub name: String,
    /// The server.
    pub server: SocketAddr,
    /// Its answer.
    pub said: Said,
    /// How long it took.
    pub took: Duration,
}

/// The answer of a server, for IPv4 and IPv6 together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// Here they are.
    Addresses,
    /// The name exists and has no address.
    NoAddress,
    /// The name does not exist (NXDOMAIN).
    NoSuchName,
    /// It cannot or will not say: the code of its reply.
    Failed(String),
    /// Nothing in the time that it had.
    Silence,
    /// Nothing, and what happened instead: it was not reached.
    Nothing(String),
    /// It was not asked: this is not a name of DNS.
    Malformed,
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Addresses => f.write_str("found"),
            Self::NoAddress => f.write_str("no address"),
            Self::NoSuchName => f.write_str("no such name"),
            Self::Failed(code) => write!(f, "the server failed ({code})"),
            Self::Silence => f.write_str("no answer in time"),
            Self::Nothing(why) => f.write_str(why),
            Self::Malformed => f.write_str("not a name of DNS"),
        }
    }
}

/// Why a name has no address; the later, the more it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// It cannot be asked for.
    NotAName,
    /// It does not exist.
    NoSuchName,
    /// It exists without an address.
    NoAddress,
    /// The servers cannot or will not say.
    Failed,
    /// No server is reached.
    Unreached,
    /// The servers do not answer in time.
    Silent,
}

/// A name without an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unresolved {
    /// The name as it was given.
    pub name: String,
    /// Why it has none.
    pub reason: Reason,
    /// What was asked.
    pub asked: Vec<Asked>,
}

/// So many questions are listed in a message; a pod's search list makes six of a name.
const MOST_SHOWN: usize = 6;

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.reason {
            Reason::NotAName => "it is not a name of DNS",
            Reason::NoSuchName => "no such name",
            Reason::NoAddress => "the name has no address",
            Reason::Failed => "the name server failed",
            Reason::Unreached | Reason::Silent => "no name server answers",
        })?;
        for (index, asked) in self.asked.iter().take(MOST_SHOWN).enumerate() {
            let Asked { name, server, said, .. } = asked;
            let before = if index == 0 { ": " } else { "; " };
            write!(f, "{before}{name} at {server}: {said}")?;
        }
        match self.asked.len().saturating_sub(MOST_SHOWN) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

impl std::error::Error for Unresolved {}

/// What the replies of one server say together, and the addresses in them: whichever kind has some is
/// enough, and a name that does not exist has neither.
pub(super) fn judge(replies: Replies) -> (Said, Vec<IpAddr>) {
    let (mut addresses, mut said) = (Vec::new(), None);
    for (_, reply) in replies {
        let new = match reply {
            Ok(Reply::Addresses(found)) => {
                addresses.extend(found);
                Said::Addresses
            }
            Ok(Reply::NoSuchName) => Said::NoSuchName,
            Ok(Reply::NoAddress) => Said::NoAddress,
            Ok(Reply::Failed(code)) => Said::Failed(format!("{code:?}")),
            Ok(Reply::Truncated) => Said::Nothing("its reply does not fit".to_owned()),
            Err(error) if error.kind() == ErrorKind::InvalidInput => Said::Malformed,
            Err(error) if matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock) => {
                Said::Silence
            }
            Err(error) => Said::Nothing(describe(&error)),
        };
        if said.as_ref().is_none_or(|old| weight(&new) > weight(old)) {
            said = Some(new);
        }
    }
    (said.unwrap_or(Said::Malformed), addresses)
}

/// What counts when IPv4 and IPv6 get different answers: addresses most; then that nobody could say for
/// one of them, because it may have had some.
fn weight(said: &Said) -> u8 {
    match said {
        Said::Addresses => 6,
        Said::NoSuchName => 5,
        Said::Failed(_) => 4,
        Said::Silence => 3,
        Said::Nothing(_) => 2,
        Said::NoAddress => 1,
        Said::Malformed => 0,
    }
}
