//! Listening on what was asked for, all or nothing, before anything is served.
//!
//! An address is reserved first: it is ours then, and whoever connects is refused until it is listened
//! on, which may be when a target has come.
//!
//! Each loop has a listener of its own. One loop has the address to itself; several share it by
//! SO_REUSEPORT, which would also share it with any other program of the same user. So the address
//! is first taken exclusively, which fails if anyone else listens there, and settles the number
//! where the kernel chooses it.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};

use nix::errno::Errno;
use nsplice_relay::{reserve as reserve_one, ListenOptions, Reserved as ReservedOne};
use nsplice_sys::describe;

use crate::address::Address;

/// An address that is listened on.
#[derive(Debug)]
pub(crate) struct Bound {
    /// The address, with the port that the kernel chose if it was asked to.
    pub(crate) local: SocketAddr,
    /// One listener for each loop.
    pub(crate) listeners: Vec<TcpListener>,
}

/// An address that is ours, and not listened on yet.
#[derive(Debug)]
pub(crate) struct Reserved {
    /// The address, with the port that the kernel chose if it was asked to.
    pub(crate) local: SocketAddr,
    /// One socket for each loop.
    sockets: Vec<ReservedOne>,
    asker: Asker,
}

impl Reserved {
    /// Listens on it.
    pub(crate) fn listen(self) -> Result<Bound, ListenError> {
        let Self { local, sockets, asker } = self;
        let fail = |source| ListenError { address: local, source, asker };
        let listeners: Result<Vec<_>, _> =
            sockets.into_iter().map(|socket| socket.listen().map_err(fail)).collect();
        Ok(Bound { local, listeners: listeners? })
    }
}

/// The addresses of one pair of ports.
#[derive(Debug)]
pub(crate) struct ReservedPort {
    /// Those that can be listened on, at least one.
    pub(crate) reserved: Vec<Reserved>,
    /// The half of `localhost` that could not be had.
    pub(crate) missed: Vec<ListenError>,
}

/// An address that cannot be listened on, and why.
#[derive(Debug, thiserror::Error)]
pub(crate) struct ListenError {
    address: SocketAddr,
    source: io::Error,
    asker: Asker,
}

/// The origin of an address, in whose words a hint has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asker {
    /// The command line of `forward`.
    Forward,
    /// The command line of `serve`.
    Serve,
    /// A configuration.
    Configuration,
}

impl Asker {
    /// Returns the words for a port that is free.
    fn free_port(self, ip: IpAddr) -> String {
        match self {
            Self::Forward => ":PORT".to_owned(),
            Self::Serve => format!("--listen {}", SocketAddr::new(ip, 0)),
            Self::Configuration => format!("listen = \"{}\"", SocketAddr::new(ip, 0)),
        }
    }
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, source, asker } = self;
        write!(f, "cannot listen on {address}: {}", describe(source))?;
        match self.errno() {
            Some(Errno::EACCES) if address.port() < FIRST_UNPRIVILEGED => {
                write!(f, "; ports below {FIRST_UNPRIVILEGED} need root or CAP_NET_BIND_SERVICE")
            }
            Some(Errno::EADDRINUSE) => {
                let (port, free) = (address.port(), asker.free_port(address.ip()));
                write!(
                    f,
                    "; `ss -Hltnp 'sport = {port}'` shows who has it, {free} takes a free one"
                )
            }
            Some(Errno::EADDRNOTAVAIL) => f.write_str("; this machine has no such address"),
            Some(Errno::EAFNOSUPPORT) => f.write_str("; IPv6 is disabled on this machine"),
            _ => Ok(()),
        }
    }
}

impl ListenError {
    fn errno(&self) -> Option<Errno> {
        self.source.raw_os_error().map(Errno::from_raw)
    }
}

/// The first port that anyone may listen on, unless `net.ipv4.ip_unprivileged_port_start` says
/// otherwise.
const FIRST_UNPRIVILEGED: u16 = 1024;

/// The number of tries to find a port that is free on all addresses. A number that is free on one
/// address is nearly always free on the other.
const ROUNDS: usize = 16;

/// Reserves `address` for `loops` loops; port 0 lets the kernel choose.
pub(crate) fn reserve(
    address: SocketAddr,
    loops: usize,
    asker: Asker,
) -> Result<Reserved, ListenError> {
    let fail = |source| ListenError { address, source, asker };
    let alone = reserve_one(address, ListenOptions::default()).map_err(fail)?;
    let local = alone.local_addr().map_err(fail)?;
    if loops == 1 {
        return Ok(Reserved { local, sockets: vec![alone], asker });
    }
    drop(alone);
    let shared = ListenOptions { reuse_port: true, ..ListenOptions::default() };
    let sockets: Result<Vec<_>, _> =
        (0..loops).map(|_| reserve_one(local, shared).map_err(fail)).collect();
    Ok(Reserved { local, sockets: sockets?, asker })
}

/// Reserves `port` of all `addresses` for `forward`, with kubectl's tolerance for `localhost`. Without a
/// port a free one is found that is the same on all addresses, if there is one.
pub(crate) fn reserve_port(
    addresses: &[Address],
    port: Option<u16>,
    loops: usize,
) -> Result<ReservedPort, ListenError> {
    if port.is_none() {
        for _ in 0..ROUNDS {
            match reserve_each(addresses, NextPort::Same(0), loops) {
                Err(error) if error.errno() == Some(Errno::EADDRINUSE) => {}
                Ok(found) if found.has_collision() => {}
                settled => return settled,
            }
        }
        return reserve_each(addresses, NextPort::Any, loops);
    }
    reserve_each(addresses, NextPort::Same(port.unwrap_or(0)), loops)
}

/// The way in which the addresses of a pair find their number.
#[derive(Debug, Clone, Copy)]
enum NextPort {
    /// All take this one; 0 becomes what the kernel gave the first.
    Same(u16),
    /// Each takes what the kernel gives it.
    Any,
}

fn reserve_each(
    addresses: &[Address],
    mut next: NextPort,
    loops: usize,
) -> Result<ReservedPort, ListenError> {
    let mut result = ReservedPort { reserved: Vec::new(), missed: Vec::new() };
    for Address { ip, either } in addresses.iter().copied() {
        let port = match next {
            NextPort::Same(port) => port,
            NextPort::Any => 0,
        };
        match reserve(SocketAddr::new(ip, port), loops, Asker::Forward) {
            Ok(reserved) => {
                if matches!(next, NextPort::Same(0)) {
                    next = NextPort::Same(reserved.local.port());
                }
                result.reserved.push(reserved);
            }
            Err(error) if either => result.missed.push(error),
            Err(error) => return Err(error),
        }
    }
    match result.missed.pop() {
        // Of `localhost` nothing could be had, whatever else was.
        Some(error) if !result.has_either(addresses) => Err(error),
        Some(error) => {
            result.missed.push(error);
            Ok(result)
        }
        None => Ok(result),
    }
}

impl ReservedPort {
    fn has_collision(&self) -> bool {
        self.missed.iter().any(|error| error.errno() == Some(Errno::EADDRINUSE))
    }

    fn has_either(&self, addresses: &[Address]) -> bool {
        let has = |ip: IpAddr| self.reserved.iter().any(|one| one.local.ip() == ip);
        addresses.iter().any(|address| address.either && has(address.ip))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(ips: &[&str], either: bool) -> Vec<Address> {
        ips.iter().map(|ip| Address { ip: ip.parse().unwrap(), either }).collect()
    }

    fn ports(found: &ReservedPort) -> Vec<u16> {
        found.reserved.iter().map(|reserved| reserved.local.port()).collect()
    }

    fn bind(address: SocketAddr, loops: usize) -> Bound {
        reserve(address, loops, Asker::Forward).unwrap().listen().unwrap()
    }

    #[test]
    fn a_free_port_is_the_same_everywhere() {
        let found = reserve_port(&addresses(&["127.0.0.1", "127.0.0.2"], false), None, 1).unwrap();
        let ports = ports(&found);
        assert_eq!(ports.len(), 2);
        assert_eq!(ports[0], ports[1]);
    }

    #[test]
    fn loops_share_an_address_with_each_other_only() {
        let bound = bind("127.0.0.1:0".parse().unwrap(), 3);
        assert_eq!(bound.listeners.len(), 3);
        for listener in &bound.listeners {
            assert_eq!(listener.local_addr().unwrap(), bound.local);
        }
        let error = reserve(bound.local, 2, Asker::Configuration).unwrap_err();
        assert_eq!(error.errno(), Some(Errno::EADDRINUSE));
        let hint = "shows who has it, listen = \"127.0.0.1:0\" takes a free one";
        assert!(error.to_string().ends_with(hint), "{error}");
    }

    #[test]
    fn what_is_reserved_refuses_until_it_is_listened_on() {
        let reserved = reserve("127.0.0.1:0".parse().unwrap(), 2, Asker::Forward).unwrap();
        let local = reserved.local;
        let refused = std::net::TcpStream::connect(local).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        let bound = reserved.listen().unwrap();
        assert_eq!((bound.local, bound.listeners.len()), (local, 2));
        assert!(std::net::TcpStream::connect(local).is_ok());
    }

    #[test]
    fn half_of_localhost_is_enough() {
        let taken = bind("127.0.0.1:0".parse().unwrap(), 1);
        let port = taken.local.port();
        let found = reserve_port(&addresses(&["127.0.0.1", "127.0.0.2"], true), Some(port), 1);
        let found = found.unwrap();
        assert_eq!(ports(&found), [port]);
        let missed: Vec<String> = found.missed.iter().map(ToString::to_string).collect();
        assert_eq!(
            missed,
            [format!(
                "cannot listen on 127.0.0.1:{port}: Address already in use; \
                 `ss -Hltnp 'sport = {port}'` shows who has it, :PORT takes a free one"
            )]
        );
    }

    #[test]
    fn nothing_of_localhost_is_not_enough() {
        let taken = bind("127.0.0.1:0".parse().unwrap(), 1);
        let mut wanted = addresses(&["127.0.0.1"], true);
        wanted.extend(addresses(&["127.0.0.2"], false));
        assert!(reserve_port(&wanted, Some(taken.local.port()), 1).is_err());
    }

    #[test]
    fn a_named_address_is_a_must() {
        // TEST-NET-1 (RFC 5737) belongs to nobody.
        let wanted = addresses(&["127.0.0.1", "192.0.2.1"], false);
        let error = reserve_port(&wanted, None, 1).unwrap_err().to_string();
        let (what, hint) = error.split_once(": ").unwrap();
        assert!(what.starts_with("cannot listen on 192.0.2.1:"), "{error}");
        assert_eq!(hint, "Cannot assign requested address; this machine has no such address");
    }
}
