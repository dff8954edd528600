//! Who may have a link, or a session, of a service.
//!
//! The question is put twice: when a client has been accepted, before anything is opened for it; and
//! once more when a look-up has found out what the target is ([`crate::Progress::Found`]), before
//! anything is opened in it. A client of an endpoint is asked about once, when it comes to have a
//! session, and then each of its streams when its target has been looked up. A refusal has a reason, which is counted for the loop and for the service.

use std::fmt::{self, Debug};
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;

use crate::labels::{Labels, LinkRef};

/// Decides who may have a link, or a session, of a service. It lives on the thread of one loop and must not block.
pub trait Admission: Debug + Send {
    /// Decides on a client that has just come. One that is refused is told by RST, unless the service's
    /// links never reset anybody ([`crate::Endings::Gentle`]).
    fn enters(&mut self, client: &Entrant<'_>) -> Entry {
        let _ = client;
        Entry::Admit
    }

    /// Decides on a link whose target has been looked up: its labels say what was found. One that is
    /// refused ends as [`crate::OpenClass::Forbidden`].
    fn reaches(&mut self, link: LinkRef<'_>) -> Entry {
        let _ = link;
        Entry::Admit
    }
}

/// A client that wants to have a link, or a session.
#[derive(Debug, Clone, Copy)]
pub struct Entrant<'a> {
    /// What its bytes come from.
    pub source: Option<BorrowedFd<'a>>,
    /// The address that was listened on; `None` for a downstream that was handed over.
    pub local: Option<SocketAddr>,
    /// Its address; `None` if it is not one of IP, or was handed over.
    pub client: Option<SocketAddr>,
    /// What its link would be about, or the endpoint is.
    pub labels: &'a Labels,
}

/// The answer to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// It may have a link.
    Admit,
    /// It may not.
    Refuse(Reason),
}

/// A reason for which a client is refused. One word for each in logs and counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The service has as many links as it may have.
    Full,
    /// The endpoint has as many sessions as it may have.
    Sessions,
    /// The session has as many streams as it may have.
    Streams,
    /// The service takes nobody in any more.
    Draining,
    /// Clients like this one may not use the service.
    Client,
    /// This target may not be reached through the service.
    Target,
    /// Its socket cannot be made what the service wants it to be.
    Unfit,
}

impl Reason {
    /// Every reason, in the order of the counters.
    pub const ALL: [Self; 7] = [
        Self::Full,
        Self::Sessions,
        Self::Streams,
        Self::Draining,
        Self::Client,
        Self::Target,
        Self::Unfit,
    ];

    /// The word used in logs and counters.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "max-links",
            Self::Sessions => "max-sessions",
            Self::Streams => "max-streams",
            Self::Draining => "draining",
            Self::Client => "client-forbidden",
            Self::Target => "target-forbidden",
            Self::Unfit => "unfit",
        }
    }
}

impl Reason {
    /// The words that a client is told, where it can be told more than that it is refused.
    pub(crate) fn in_words(self) -> &'static str {
        match self {
            Self::Full => "no place left",
            Self::Sessions => "no place left for a session",
            Self::Streams => "the session has as many streams as it may have",
            Self::Draining => "no new connections are taken",
            Self::Client => "this client is not admitted",
            Self::Target => "this target is not to be reached",
            Self::Unfit => "the connection cannot be used",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_reason_has_a_word_of_its_own() {
        let words: HashSet<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(words.len(), Reason::ALL.len());
    }
}
