//! Candidates that a connecting endpoint tries: remote addresses, and the local address that goes
//! with each.

use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::time::Duration;

use nsplice_backend::interleaved;
use nsplice_relay::{OpenClass, OpenError};
use nsplice_sys::{Offloaded, Question};
use socket2::{Protocol, SockAddr, Type};

use crate::fault::Fault;
use crate::journal::Journal;
use crate::language::{Address, Keyword, Opt};

use super::binding::{Local, LocalName};
use super::inet::{Addresses, Host, Name, Port};
use super::name::{escaped, length, spelled};
use super::netns::Birth;
use super::{preference, unix, vsock, Context};

/// A connecting endpoint, ready to be opened any number of times.
#[derive(Debug)]
pub(crate) struct Connection {
    remote: Remote,
    manner: Manner,
    pub(crate) address: Address,
    pub(crate) birth: Birth,
    /// `connect-timeout=`
    pub(crate) timeout: Option<Duration>,
    pub(crate) journal: Journal,
}

#[derive(Debug)]
enum Remote {
    /// Addresses.
    Inet(Names),
    /// Names: looked up once at a time, for all links that wait.
    Asked(Question<Result<Vec<Candidate>, OpenError>>),
    /// What needs no look-up.
    Fixed(Vec<Candidate>),
}

/// A remote name, and the local one if there is one.
#[derive(Debug)]
struct Names {
    remote: Name,
    local: Option<LocalName>,
}

/// How socat tells about it.
#[derive(Debug)]
enum Manner {
    /// `connect(5, AF=2 127.0.0.1:1, 16): ...`
    Numbered,
    /// `connect(, AF=1 "S", LEN): ...`
    Unnumbered,
    /// `UNIX-CLIENT:S: ...`, and without a notice beforehand.
    Client(String),
}

/// One thing to try.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) remote: SockAddr,
    pub(crate) local: Local,
    pub(crate) kind: Type,
}

/// The candidates, if they are known.
pub(crate) enum Found {
    Known(Vec<Candidate>),
    /// They are being looked up.
    Asked(Offloaded<Result<Vec<Candidate>, OpenError>>),
    Failed(OpenError),
}

impl Connection {
    /// The connecting endpoint that `address` describes.
    pub(crate) fn of(address: &Address, context: &Context) -> Result<Self, Fault> {
        let first = address.parameter();
        let (remote, manner) = match address.keyword {
            Keyword::UnixConnect => (fixed(address, unix::at_path(first)?)?, Manner::Unnumbered),
            Keyword::AbstractConnect => {
                (fixed(address, unix::abstract_name(first)?)?, Manner::Unnumbered)
            }
            Keyword::UnixClient => (
                fixed(address, unix::at_path(first)?)?,
                Manner::Client(format!("UNIX-CLIENT:{}", escaped(first))),
            ),
            Keyword::AbstractClient => (
                fixed(address, unix::abstract_name(first)?)?,
                Manner::Client(format!("UNIX-CLIENT:{}", escaped(first))),
            ),
            Keyword::VsockConnect => (fixed(address, vsock::remote(address)?)?, Manner::Numbered),
            _ => (inet(address, context)?, Manner::Numbered),
        };
        Ok(Self {
            remote,
            manner,
            address: address.clone(),
            birth: Birth::of(address)?,
            timeout: address.time(Opt::ConnectTimeout).filter(|time| !time.is_zero()),
            journal: context.journal.clone(),
        })
    }

    /// The candidates, or the look-up that will bring them.
    pub(crate) fn find(&self) -> Found {
        let found = match &self.remote {
            Remote::Fixed(candidates) => Ok(candidates.clone()),
            Remote::Inet(names) => names.candidates(),
            Remote::Asked(question) => match question.ask() {
                Ok(asked) => return Found::Asked(asked),
                Err(error) => Err(OpenError::from_io("getaddrinfo()", &error)),
            },
        };
        found.map_or_else(Found::Failed, Found::Known)
    }

    /// Returns whether there is a notice before it is opened.
    pub(crate) fn is_announced(&self) -> bool {
        !matches!(self.manner, Manner::Client(_))
    }

    /// Returns whether all candidates have the same name and differ in type only.
    pub(crate) fn is_one_name(&self) -> bool {
        matches!(self.remote, Remote::Fixed(_))
    }

    /// Returns whether small pieces are to be sent at once: nothing else was asked for.
    pub(crate) fn is_impatient(&self) -> bool {
        self.address.setting(Opt::NoDelay).is_none()
    }

    /// Tells what was tried when `candidate` failed, as socat does.
    pub(crate) fn told(&self, candidate: &Candidate, descriptor: RawFd) -> String {
        let (remote, length) = (spelled(&candidate.remote), length(&candidate.remote));
        match &self.manner {
            Manner::Numbered => format!("connect({descriptor}, {remote}, {length})"),
            Manner::Unnumbered => format!("connect(, {remote}, {length})"),
            Manner::Client(told) => told.clone(),
        }
    }
}

impl Candidate {
    /// Returns whether it may be tried while others are: two sockets cannot have one local port.
    pub(crate) fn is_independent(&self) -> bool {
        match &self.local {
            Local::Unbound | Local::LowPort(_) => true,
            Local::Address(local) => local.as_socket().is_some_and(|local| local.port() == 0),
        }
    }

    /// TCP, or what the kernel takes for a family that has one protocol.
    pub(crate) fn protocol(&self) -> Option<Protocol> {
        self.remote.as_socket().map(|_| Protocol::TCP)
    }
}

fn fixed(address: &Address, remote: SockAddr) -> Result<Remote, Fault> {
    let local = match (address.text(Opt::Bind), address.keyword) {
        (None, _) => Local::Unbound,
        (Some(text), Keyword::VsockConnect) => Local::Address(vsock::local(text)?),
        (Some(text), Keyword::AbstractConnect | Keyword::AbstractClient) => {
            Local::Address(unix::abstract_name(text)?)
        }
        (Some(text), _) => Local::Address(unix::at_path(text)?),
    };
    // Only clients take whatever type of socket there is.
    let kinds: &[Type] = match address.keyword {
        Keyword::UnixClient | Keyword::AbstractClient => {
            &[Type::STREAM, Type::SEQPACKET, Type::DGRAM]
        }
        _ => &[Type::STREAM],
    };
    let candidate =
        |kind: &Type| Candidate { remote: remote.clone(), local: local.clone(), kind: *kind };
    Ok(Remote::Fixed(kinds.iter().map(candidate).collect()))
}

fn inet(address: &Address, context: &Context) -> Result<Remote, Fault> {
    let version = preference::connecting(address, context.flags.ip)?;
    let [host, port] = address.parameters.as_slice() else {
        let (word, given) = (&address.word, address.parameters.len());
        let told = format!("{word}: wrong number of parameters ({given} instead of 2)");
        return Err(Fault::new(told));
    };
    let port = Port::read(port, &host.to_string_lossy(), version, &context.journal)?;
    let remote = Name { host: Host::read(host), port, version };
    let local = LocalName::of(address, version, &context.journal)?;
    let names = Names { remote, local };
    if names.are_known() {
        return Ok(Remote::Inet(names));
    }
    Ok(Remote::Asked(Question::new(&context.pool.asker(), move || names.candidates())))
}

impl Names {
    /// Returns whether nobody has to be asked.
    fn are_known(&self) -> bool {
        let names = [Some(&self.remote), self.local.as_ref().and_then(LocalName::name)];
        !names.into_iter().flatten().any(|name| matches!(name.known(), Ok(Addresses::Unknown)))
    }

    /// The candidates. Blocks if names have to be looked up.
    fn candidates(&self) -> Result<Vec<Candidate>, OpenError> {
        candidates(&self.remote, self.local.as_ref())
            .map_err(|told| OpenError::new(OpenClass::NameUnknown, told))
    }
}

fn candidates(remote: &Name, local: Option<&LocalName>) -> Result<Vec<Candidate>, String> {
    let remotes = interleaved(remote.ask()?);
    let Some(local) = local else {
        let candidate = |remote: SocketAddr| Candidate {
            remote: remote.into(),
            local: Local::Unbound,
            kind: Type::STREAM,
        };
        return Ok(remotes.into_iter().map(candidate).collect());
    };
    let locals = local.ask()?;
    // A remote address that no local one can reach is left out.
    let paired = remotes.into_iter().filter_map(|remote| {
        let own = locals.iter().find(|own| own.is_ipv4() == remote.is_ipv4())?;
        let local = local.chosen(*own);
        Some(Candidate { remote: remote.into(), local, kind: Type::STREAM })
    });
    let paired: Vec<Candidate> = paired.collect();
    if paired.is_empty() {
        return Err("bind: no local address is of the remote address's family".to_owned());
    }
    Ok(paired)
}
