//! The local side of a connection: `bind=`, `sourceport=`, `lowport`.

use std::ffi::{OsStr, OsString};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::SystemTime;

use nix::errno::Errno;
use nix::sys::stat::{fchmod, Mode};
use nsplice_relay::{OpenClass, OpenError};
use nsplice_sys::describe;
use socket2::{SockAddr, Socket};

use crate::fault::Fault;
use crate::journal::Journal;
use crate::language::{Address, Opt, Value};

use super::inet::{Host, Name, Port, Version};
use super::name::{length, spelled};
use super::netns::errno_of;

/// The local side of TCP connections: `bind=`, `sourceport=`, `lowport`.
#[derive(Debug)]
pub(crate) struct LocalName {
    name: Option<Name>,
    port: PortChoice,
}

/// Which local port.
#[derive(Debug, Clone, Copy)]
enum PortChoice {
    /// This one; 0 leaves it to the kernel.
    This(u16),
    /// Any that only root may have.
    Low,
}

/// The local address that a socket is bound to before it is connected.
#[derive(Debug, Clone)]
pub(crate) enum Local {
    Unbound,
    Address(SockAddr),
    LowPort(SocketAddr),
}

/// What `lowport` chooses from, as socat does.
const LOW_PORTS: std::ops::RangeInclusive<u16> = 640..=1023;

impl LocalName {
    /// Reads what `address`, which connects in `version`, asks for.
    pub(crate) fn of(
        address: &Address,
        version: Version,
        journal: &Journal,
    ) -> Result<Option<Self>, Fault> {
        let (name, port) = match address.text(Opt::Bind) {
            None => (None, 0),
            Some(text) => {
                let (host, port) = split_bind(text);
                let port = match port {
                    None => Port::number(0),
                    Some(port) => Port::read(
                        &port,
                        host.as_ref().map_or("NULL", |host| host),
                        version,
                        journal,
                    )?,
                };
                let number = port.number;
                let name = host.map(|host| Name { host: Host::read(host.as_ref()), port, version });
                (name, number)
            }
        };
        let port = match source_port(address)? {
            Some(port) => PortChoice::This(port),
            None if address.has(Opt::LowPort) && port == 0 => PortChoice::Low,
            None => PortChoice::This(port),
        };
        if name.is_none() && matches!(port, PortChoice::This(0)) {
            return Ok(None);
        }
        Ok(Some(Self { name, port }))
    }

    /// The name, if there is one that has to be looked up.
    pub(crate) fn name(&self) -> Option<&Name> {
        self.name.as_ref()
    }

    /// The local addresses, without their port. Blocks if a name has to be looked up.
    pub(crate) fn ask(&self) -> Result<Vec<SocketAddr>, String> {
        match &self.name {
            Some(name) => name.ask(),
            None => Ok(vec![(Ipv4Addr::UNSPECIFIED, 0).into(), (Ipv6Addr::UNSPECIFIED, 0).into()]),
        }
    }

    /// One of those addresses with the port it is to have.
    pub(crate) fn chosen(&self, mut address: SocketAddr) -> Local {
        match self.port {
            PortChoice::This(port) => {
                address.set_port(port);
                Local::Address(address.into())
            }
            PortChoice::Low => Local::LowPort(address),
        }
    }
}

/// `sourceport=`
pub(crate) fn source_port(address: &Address) -> Result<Option<u16>, Fault> {
    let Some(setting) = address.setting(Opt::SourcePort) else {
        return Ok(None);
    };
    let number = match &setting.value {
        Value::Number(number) => u16::try_from(*number).ok(),
        _ => None,
    };
    match number {
        Some(number) => Ok(Some(number)),
        None => Err(Fault::new(format!("option \"{}\": port out of range", setting.word))),
    }
}

/// `[HOST][:PORT]`; an IPv6 address may do without its brackets if there is no port.
fn split_bind(text: &OsStr) -> (Option<String>, Option<OsString>) {
    let text = text.to_string_lossy();
    if text.parse::<Ipv6Addr>().is_ok() {
        return (Some(format!("[{text}]")), None);
    }
    let after = text.find(']').map_or(0, |bracket| bracket + 1);
    let (host, port) = match text[after..].find(':') {
        Some(colon) => (&text[..after + colon], Some(OsString::from(&text[after + colon + 1..]))),
        None => (text.as_ref(), None),
    };
    (Some(host.to_owned()).filter(|host| !host.is_empty()), port)
}

impl Local {
    /// Binds `socket`. A file that this makes gets `mode`, less the umask.
    pub(crate) fn bind(&self, socket: &Socket, mode: Option<Mode>) -> Result<(), OpenError> {
        if let (Some(mode), true) = (mode, self.path().is_some()) {
            // unix(7): bind(2) makes the file with the mode that the socket has.
            fchmod(socket, mode).map_err(|errno| {
                let (number, mode) = (socket.as_raw_fd(), mode.bits());
                OpenError::from_io(format!("fchmod({number}, 0{mode:03o})"), &errno.into())
            })?;
        }
        let bind = |address: &SockAddr| socket.bind(address).map_err(|error| errno_of(&error));
        match self {
            Self::Unbound => Ok(()),
            Self::Address(address) => {
                bind(address).map_err(|errno| bind_failed(socket, address, errno))
            }
            Self::LowPort(address) => {
                let mut address = *address;
                let mut answer = Err(Errno::EADDRINUSE);
                for port in low_ports() {
                    address.set_port(port);
                    answer = bind(&address.into());
                    if answer != Err(Errno::EADDRINUSE) {
                        break;
                    }
                }
                answer.map_err(|errno| bind_failed(socket, &address.into(), errno))
            }
        }
    }

    /// The file that binding has made.
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::Address(address) => address.as_pathname(),
            Self::Unbound | Self::LowPort(_) => None,
        }
    }
}

/// All low ports, from one that differs each time.
fn low_ports() -> impl Iterator<Item = u16> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let start = usize::try_from(now.subsec_micros()).unwrap_or(0) % LOW_PORTS.len();
    LOW_PORTS.cycle().skip(start).take(LOW_PORTS.len())
}

/// socat's words for a bind(2) that failed.
pub(crate) fn bind_failed(socket: &Socket, local: &SockAddr, errno: Errno) -> OpenError {
    let (descriptor, address, length) = (socket.as_raw_fd(), spelled(local), length(local));
    let told = format!("bind({descriptor}, {{{address}}}, {length}): {}", describe(&errno.into()));
    OpenError::new(OpenClass::of_errno(errno), told)
}
