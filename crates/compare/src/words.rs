//! The words by which people choose what is compared, on the command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use nsplice_backend::{Choice, Template, TemplateError};

use crate::cost::{Choices, Family};
use crate::subject::{Means, Peer, Subject};

/// Backends, separated by commas: `setns,external`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backends(pub Vec<Subject>);

/// A command that carries each link: `NAME=TEMPLATE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedCommand(pub Subject);

/// A relay that runs already: `NAME=ADDRESS:PORT[,pid=N][,cgroup=DIR]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedPeer(pub Subject);

/// The workloads, separated by commas: `conformance,open,requests,bulk,idle`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workloads {
    /// True if behaviours are tried.
    pub conformance: bool,
    /// The families of workloads that are measured.
    pub families: Vec<Family>,
}

/// An error in the words for a choice.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WordsError {
    /// A backend that does not exist.
    #[error(
        "unknown backend `{0}`: write setns, setns-copy, external or dial, separated by commas"
    )]
    Backend(String),
    /// A workload that does not exist.
    #[error("unknown workload `{0}`: write conformance, open, requests, bulk or idle, separated by commas")]
    Workload(String),
    /// No name, or a bad one.
    #[error("`{0}` does not begin with a name and `=`: letters, digits and `-_.` make a name")]
    Unnamed(String),
    /// A command that cannot be used.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// Not where a relay listens.
    #[error("`{0}` is not where a relay listens; write for example haproxy=127.0.0.1:9000")]
    Address(String),
    /// Something else about a relay.
    #[error("`{0}` says nothing of a relay; pid=N and cgroup=/ABSOLUTE/PATH do")]
    Trait(String),
}

impl FromStr for Backends {
    type Err = WordsError;

    fn from_str(text: &str) -> Result<Self, WordsError> {
        text.split(',').map(backend).collect::<Result<_, _>>().map(Self)
    }
}

impl Default for Backends {
    fn default() -> Self {
        let choices = [Choice::Setns, Choice::External, Choice::Dial];
        Self(choices.map(Subject::backend).into_iter().chain([Subject::setns_copy()]).collect())
    }
}

fn backend(name: &str) -> Result<Subject, WordsError> {
    match name {
        "setns" => Ok(Subject::backend(Choice::Setns)),
        "setns-copy" => Ok(Subject::setns_copy()),
        "external" => Ok(Subject::backend(Choice::External)),
        "dial" => Ok(Subject::backend(Choice::Dial)),
        _ => Err(WordsError::Backend(name.to_owned())),
    }
}

impl FromStr for Workloads {
    type Err = WordsError;

    fn from_str(text: &str) -> Result<Self, WordsError> {
        let mut chosen = Self { conformance: false, families: Vec::new() };
        for name in text.split(',') {
            let family = match name {
                "conformance" => {
                    chosen.conformance = true;
                    continue;
                }
                "open" => Family::Open,
                "requests" => Family::Requests,
                "bulk" => Family::Bulk,
                "idle" => Family::Idle,
                _ => return Err(WordsError::Workload(name.to_owned())),
            };
            if !chosen.families.contains(&family) {
                chosen.families.push(family);
            }
        }
        Ok(chosen)
    }
}

impl Default for Workloads {
    fn default() -> Self {
        Self { conformance: true, families: Choices::default().families }
    }
}

impl FromStr for NamedCommand {
    type Err = WordsError;

    fn from_str(text: &str) -> Result<Self, WordsError> {
        let (name, template) = named(text)?;
        let means = Means::Command(Template::parse(template)?);
        Ok(Self(Subject { name: name.to_owned(), means }))
    }
}

impl FromStr for NamedPeer {
    type Err = WordsError;

    fn from_str(text: &str) -> Result<Self, WordsError> {
        let (name, rest) = named(text)?;
        let mut words = rest.split(',');
        let address = words.next().unwrap_or_default();
        let address: SocketAddr =
            address.parse().map_err(|_| WordsError::Address(address.to_owned()))?;
        let mut peer = Peer { address, pid: None, cgroup: None };
        for word in words {
            let unknown = || WordsError::Trait(word.to_owned());
            match word.split_once('=') {
                Some(("pid", pid)) => {
                    let pid = pid.parse().ok().filter(|pid| *pid > 0).ok_or_else(unknown)?;
                    peer.pid = Some(pid);
                }
                Some(("cgroup", path)) if path.starts_with('/') => {
                    peer.cgroup = Some(PathBuf::from(path));
                }
                _ => return Err(unknown()),
            }
        }
        Ok(Self(Subject { name: name.to_owned(), means: Means::Peer(peer) }))
    }
}

/// The name before the `=`, and what is behind it.
fn named(text: &str) -> Result<(&str, &str), WordsError> {
    let is_name = |name: &str| {
        let mut bytes = name.bytes();
        !name.is_empty() && bytes.all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    text.split_once('=')
        .filter(|(name, _)| is_name(name))
        .ok_or_else(|| WordsError::Unnamed(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backends_are_lists_of_names() {
        let Backends(subjects) = "setns,setns-copy".parse().expect("two");
        assert_eq!(subjects, [Subject::backend(Choice::Setns), Subject::setns_copy()]);
        for wrong in ["", "setns,", "auto", "setns external"] {
            assert!(wrong.parse::<Backends>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn workloads_are_lists_of_names() {
        let chosen: Workloads = "bulk,conformance,bulk".parse().expect("two");
        assert_eq!(chosen, Workloads { conformance: true, families: vec![Family::Bulk] });
        let refused = "bulk,speed".parse::<Workloads>().expect_err("no such");
        assert_eq!(refused, WordsError::Workload("speed".to_owned()));
    }

    #[test]
    fn peers_have_a_name_an_address_and_more() {
        let NamedPeer(subject) =
            "haproxy=127.0.0.1:9000,pid=42,cgroup=/sys/fs/cgroup/x".parse().expect("a peer");
        let cgroup = Some(PathBuf::from("/sys/fs/cgroup/x"));
        let peer = Peer { address: ([127, 0, 0, 1], 9000).into(), pid: Some(42), cgroup };
        assert_eq!(subject, Subject { name: "haproxy".to_owned(), means: Means::Peer(peer) });
        for wrong in [
            "127.0.0.1:9000",
            "=127.0.0.1:9000",
            "a b=127.0.0.1:9000",
            "x=localhost:9000",
            "x=127.0.0.1:9000,pid=0",
            "x=127.0.0.1:9000,pid=",
            "x=127.0.0.1:9000,cgroup=here",
            "x=127.0.0.1:9000,",
        ] {
            assert!(wrong.parse::<NamedPeer>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn commands_have_a_name_and_a_template() {
        let NamedCommand(subject) = "nc=nc {address} {port}".parse().expect("a command");
        assert_eq!(subject.name, "nc");
        assert!(matches!(subject.means, Means::Command(_)));
        assert!("nc {address}".parse::<NamedCommand>().is_err());
        assert!("nc={what}".parse::<NamedCommand>().is_err());
    }
}
