//! Endpoints that listen: a socket is made, bound and listened on.
//!
//! Used both ways: once, at start, for a listener that serves many clients (`fork`), and for each
//! opening of one that takes a single client (`accept.rs`).

use std::borrow::Cow;
use std::ffi::OsStr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::PathBuf;

use nsplice_relay::{OpenClass, OpenError, BACKLOG};
use nsplice_sys::{close_on_exec, duplicate, Pool};
use socket2::{Protocol, SockAddr, Socket, Type};

use crate::fault::Fault;
use crate::language::{Address, Keyword, Opt};

use super::binding::bind_failed;
use super::inet::{c_number, Addresses, Host, Name, Port, Version};
use super::name::spelled;
use super::netns::{errno_of, Birth};
use super::settings::{apply, Phase};
use super::socket_file::{SocketFile, Wishes};
use super::{preference, unix, vsock, Context};

/// A listening endpoint, ready to be bound.
#[derive(Debug)]
pub(crate) struct Station {
    listening: Listening,
    pub(crate) address: Address,
    birth: Birth,
    wishes: Wishes,
    /// Looks its name up.
    pub(crate) pool: Pool,
}

#[derive(Debug)]
enum Listening {
    /// `bind=` and the port, or the wildcard address and the port.
    Inet(Name),
    Fixed {
        address: SockAddr,
        path: Option<PathBuf>,
    },
    /// A listening socket that was there when we were started.
    Inherited(RawFd),
}

/// A listening socket.
#[derive(Debug)]
pub(crate) struct Stationed {
    pub(crate) socket: OwnedFd,
    /// Its file, if it has one that is to be removed in the end.
    pub(crate) file: Option<SocketFile>,
    /// The notice about it: `listening on AF=2 0.0.0.0:80`.
    pub(crate) notice: String,
}

impl Station {
    /// The listening endpoint that `address` describes.
    pub(crate) fn of(address: &Address, context: &Context) -> Result<Self, Fault> {
        let first = address.parameter();
        let bind = address.text(Opt::Bind);
        let listening = match address.keyword {
            Keyword::UnixListen => Listening::Fixed {
                address: unix::at_path(first)?,
                path: Some(PathBuf::from(first)),
            },
            Keyword::AbstractListen => {
                Listening::Fixed { address: unix::abstract_name(first)?, path: None }
            }
            Keyword::VsockListen => {
                Listening::Fixed { address: vsock::listening(address, bind)?, path: None }
            }
            Keyword::AcceptFd => Listening::Inherited(descriptor(first)?),
            _ => {
                let version = preference::listening(address, context.flags.ip)?;
                let host = match bind {
                    // A port has no place here: it would be part of the name.
                    Some(host) => Host::read(host),
                    None => Host::wildcard(version),
                };
                let told = bind.map_or(Cow::Borrowed("NULL"), OsStr::to_string_lossy);
                let port = Port::read(first, &told, version, &context.journal)?;
                Listening::Inet(Name { host, port, version })
            }
        };
        let (birth, wishes) = (Birth::of(address)?, Wishes::of(address)?);
        let (address, pool) = (address.clone(), context.pool.clone());
        Ok(Self { listening, address, birth, wishes, pool })
    }

    /// Returns whether [`Self::resolve`] may wait.
    pub(crate) fn needs_asking(&self) -> bool {
        match &self.listening {
            Listening::Inet(name) => matches!(name.known(), Ok(Addresses::Unknown)),
            Listening::Fixed { .. } | Listening::Inherited(_) => false,
        }
    }

    /// The address to listen on; none for an inherited socket.
    pub(crate) fn resolve(&self) -> Result<Option<SockAddr>, OpenError> {
        match &self.listening {
            Listening::Inet(name) => {
                let unknown = |told| OpenError::new(OpenClass::NameUnknown, told);
                let found = name.ask().map_err(unknown)?;
                Ok(found.first().copied().map(SockAddr::from))
            }
            Listening::Fixed { address, .. } => Ok(Some(address.clone())),
            Listening::Inherited(_) => Ok(None),
        }
    }

    /// Makes a socket that listens on `address`, which [`Self::resolve`] gave.
    pub(crate) fn listen(&self, address: Option<&SockAddr>) -> Result<Stationed, OpenError> {
        let (socket, file) = match (&self.listening, address) {
            (Listening::Inherited(number), _) => {
                let socket = inherited(*number)?;
                for phase in [Phase::Made, Phase::BeforeBind] {
                    apply(&socket, &self.address, phase)?;
                }
                (socket, None)
            }
            (Listening::Fixed { path, .. }, Some(address)) => self.bind(address, path.as_ref())?,
            (Listening::Inet(_), Some(address)) => self.bind(address, None)?,
            (Listening::Fixed { .. } | Listening::Inet(_), None) => {
                let told = "there is no address to listen on";
                return Err(OpenError::new(OpenClass::NameUnknown, told));
            }
        };
        let local = socket.local_addr().map_or_else(|_| "NULL".to_owned(), |local| spelled(&local));
        socket.set_nonblocking(true).map_err(|error| OpenError::from_io("fcntl()", &error))?;
        Ok(Stationed { socket: socket.into(), file, notice: format!("listening on {local}") })
    }

    fn bind(
        &self,
        address: &SockAddr,
        path: Option<&PathBuf>,
    ) -> Result<(Socket, Option<SocketFile>), OpenError> {
        if let Some(path) = path {
            self.wishes.clear(path)?;
        }
        let is_inet = address.as_socket().is_some();
        let protocol = is_inet.then_some(Protocol::TCP);
        let socket = self.birth.socket(address.domain(), Type::STREAM, protocol)?;
        if is_inet && self.address.setting(Opt::NoDelay).is_none() {
            // The sockets that are accepted have it from here; refused by no kernel.
            let _ = socket.set_tcp_nodelay(true);
        }
        apply(&socket, &self.address, Phase::Made)?;
        if is_inet && self.address.setting(Opt::ReuseAddr).is_none() {
            let reuse = socket.set_reuse_address(true);
            reuse.map_err(|error| OpenError::from_io("setsockopt(SO_REUSEADDR)", &error))?;
        }
        apply(&socket, &self.address, Phase::BeforeBind)?;
        self.wishes
            .masked(|| socket.bind(address))
            .map_err(|error| bind_failed(&socket, address, errno_of(&error)))?;
        let mut file = None;
        if let Some(path) = path {
            // From here on a failure removes it.
            file = self.wishes.unlink_close.then(|| SocketFile::made(path));
            self.wishes.dress(path)?;
        }
        let backlog = self.address.number(Opt::Backlog);
        let backlog = backlog.map_or(BACKLOG, |number| i32::try_from(number).unwrap_or(BACKLOG));
        socket.listen(backlog).map_err(|error| {
            OpenError::from_io(format!("listen({}, {backlog})", socket.as_raw_fd()), &error)
        })?;
        Ok((socket, file))
    }
}

impl Host {
    /// What a listener without `bind=` listens on.
    fn wildcard(version: Version) -> Self {
        let address: IpAddr = match version {
            Version::V6 => Ipv6Addr::UNSPECIFIED.into(),
            _ => Ipv4Addr::UNSPECIFIED.into(),
        };
        Self::Address(address, super::inet::Spelling::Plain)
    }
}

fn descriptor(word: &OsStr) -> Result<RawFd, Fault> {
    let word = word.to_string_lossy();
    let number = match c_number(&word) {
        Some((number, "")) => RawFd::try_from(number).ok(),
        _ => None,
    };
    number.ok_or_else(|| Fault::new(format!("ACCEPT-FD: \"{word}\" is no descriptor")))
}

/// The socket with this number, which must be one that listens.
fn inherited(number: RawFd) -> Result<Socket, OpenError> {
    let failed = |error| OpenError::from_io(format!("ACCEPT-FD:{number}"), &error);
    let socket = Socket::from(duplicate(number, 0).map_err(failed)?);
    // Nothing that programs are to have.
    close_on_exec(number, true).map_err(failed)?;
    if !socket.is_listener().map_err(failed)? {
        let told = format!("ACCEPT-FD:{number}: the socket does not listen");
        return Err(OpenError::new(OpenClass::Other, told));
    }
    Ok(socket)
}
