//! Hosts and ports: how they are written, and what addresses they stand for.
//!
//! A host is an address, IPv6 in brackets, or a name. `localhost` is what it is by definition (RFC
//! 6761), with or without a hosts file, and nobody is asked about it. All other names are looked up
//! for each opening anew, off the loop, so that a name that moves is followed.
//!
//! What fails is told as socat tells it: as the getaddrinfo(3) call that it makes, with the hints
//! {flags,family,socktype,protocol}. The words for its errors are glibc's, with whatever library.

use std::ffi::{CString, OsStr};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::fault::Fault;
use crate::journal::{Journal, Level};

/// The IP versions that an address may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    V4,
    V6,
    /// Either; IPv4 is tried first.
    FourFirst,
    /// Either; IPv6 is tried first.
    SixFirst,
    /// IPv4, and IPv6 where there is no IPv4.
    FourOrElse,
    /// IPv6, and IPv4 where there is no IPv6.
    SixOrElse,
    /// Either, in the resolver's order.
    Any,
}

impl Version {
    /// The protocol family of the hints.
    fn family(self) -> i32 {
        match self {
            Self::V4 => libc::AF_INET,
            Self::V6 => libc::AF_INET6,
            Self::FourFirst | Self::SixFirst | Self::FourOrElse | Self::SixOrElse | Self::Any => {
                libc::AF_UNSPEC
            }
        }
    }

    /// Returns whether `address` is of it.
    pub(crate) fn allows(self, address: IpAddr) -> bool {
        match self {
            Self::V4 => address.is_ipv4(),
            Self::V6 => address.is_ipv6(),
            Self::FourFirst | Self::SixFirst | Self::FourOrElse | Self::SixOrElse | Self::Any => {
                true
            }
        }
    }

    /// Brings the addresses of a name into the order in which they are tried, and takes out those
    /// that are not.
    fn choose(self, addresses: &mut Vec<SocketAddr>) {
        match self {
            Self::FourFirst => addresses.sort_by_key(SocketAddr::is_ipv6),
            Self::SixFirst => addresses.sort_by_key(SocketAddr::is_ipv4),
            Self::FourOrElse if addresses.iter().any(SocketAddr::is_ipv4) => {
                addresses.retain(SocketAddr::is_ipv4);
            }
            Self::SixOrElse if addresses.iter().any(SocketAddr::is_ipv6) => {
                addresses.retain(SocketAddr::is_ipv6);
            }
            Self::V4 | Self::V6 | Self::FourOrElse | Self::SixOrElse | Self::Any => {}
        }
    }
}

/// A host as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Host {
    Address(IpAddr, Spelling),
    Localhost,
    Name(String),
}

/// The spelling of an address: in brackets, which say that it is no name, or without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spelling {
    Plain,
    Bracketed,
}

impl Host {
    /// Reads a host.
    pub(crate) fn read(word: &OsStr) -> Self {
        let word = word.to_string_lossy();
        let (inner, spelling) = match word.strip_prefix('[').and_then(|w| w.strip_suffix(']')) {
            Some(inner) => (inner, Spelling::Bracketed),
            None => (word.as_ref(), Spelling::Plain),
        };
        match inner.parse() {
            Ok(address) => Self::Address(address, spelling),
            Err(_) if inner.eq_ignore_ascii_case("localhost") => Self::Localhost,
            Err(_) => Self::Name(inner.to_owned()),
        }
    }
}

/// A port, and the name it was given by if it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Port {
    pub(crate) number: u16,
    service: Option<String>,
}

impl Port {
    /// Reads a number, decimal or with C's prefixes, or the name of a service. `host` is for
    /// messages.
    pub(crate) fn read(
        word: &OsStr,
        host: &str,
        version: Version,
        journal: &Journal,
    ) -> Result<Self, Fault> {
        let word = word.to_string_lossy();
        if word.is_empty() {
            return Err(Fault::new("empty port/service"));
        }
        if let Some((number, rest)) = c_number(&word) {
            if !rest.is_empty() {
                let what = format!("xiogetaddrinfo(, \"{word}\", ...): extra trailing data");
                journal.tell(Level::Warning, format_args!("{what} \"{rest}\""));
            }
            return match u16::try_from(number) {
                Ok(number) => Ok(Self { number, service: None }),
                Err(_) => Err(Fault::new(format!("port \"{word}\" is out of range (0..65535)"))),
            };
        }
        let unknown = || {
            Fault::new(format!(
                "getaddrinfo\"{host}\", \"{word}\", {{1,{},1,0}}, {{}}): {SERVICE}",
                version.family()
            ))
        };
        let service = CString::new(word.as_bytes()).map_err(|_| unknown())?;
        let found =
            nsplice_sys::look_up(None, Some(&service), libc::AF_INET, 0).map_err(|_| unknown())?;
        let number = found.first().map(SocketAddr::port).ok_or_else(unknown)?;
        Ok(Self { number, service: Some(word.into_owned()) })
    }

    /// A port that was not given.
    pub(crate) fn number(number: u16) -> Self {
        Self { number, service: None }
    }
}

/// A host and a port.
#[derive(Debug, Clone)]
pub(crate) struct Name {
    pub(crate) host: Host,
    pub(crate) port: Port,
    pub(crate) version: Version,
}

/// The addresses of a host and port, or the way to them.
#[derive(Debug)]
pub(crate) enum Addresses {
    /// They are known.
    Known(Vec<SocketAddr>),
    /// [`Name::ask`] will find them, and may wait for that.
    Unknown,
}

impl Name {
    /// The addresses, if nobody has to be asked.
    pub(crate) fn known(&self) -> Result<Addresses, String> {
        let port = self.port.number;
        match &self.host {
            Host::Address(address, _) if self.version.allows(*address) => {
                Ok(Addresses::Known(vec![SocketAddr::new(*address, port)]))
            }
            Host::Address(address, spelling) => {
                Err(self.failed(&address.to_string(), *spelling, FAMILY))
            }
            Host::Localhost => {
                let local: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
                let mut found: Vec<SocketAddr> = local
                    .into_iter()
                    .filter(|address| self.version.allows(*address))
                    .map(|address| SocketAddr::new(address, port))
                    .collect();
                self.version.choose(&mut found);
                Ok(Addresses::Known(found))
            }
            Host::Name(_) => Ok(Addresses::Unknown),
        }
    }

    /// The addresses, the preferred ones first. Blocks.
    pub(crate) fn ask(&self) -> Result<Vec<SocketAddr>, String> {
        if let Addresses::Known(known) = self.known()? {
            return Ok(known);
        }
        let Host::Name(name) = &self.host else {
            return Ok(Vec::new());
        };
        let mut found = look_up(name, self.version)
            .map_err(|reason| self.failed(name, Spelling::Plain, reason))?;
        for address in &mut found {
            address.set_port(self.port.number);
        }
        self.version.choose(&mut found);
        Ok(found)
    }

    fn failed(&self, host: &str, spelling: Spelling, reason: &str) -> String {
        let flags = match spelling {
            Spelling::Plain => libc::AI_PASSIVE,
            Spelling::Bracketed => libc::AI_PASSIVE | libc::AI_NUMERICHOST,
        };
        let (service, family) = (self.port.service.as_deref(), self.version.family());
        let service = service.unwrap_or("NULL");
        format!("getaddrinfo(\"{host}\", \"{service}\", {{{flags},{family},1,6}}, {{}}): {reason}")
    }
}

/// The addresses of `name`, each once and with port 0, or the resolver's words. Blocks.
pub(crate) fn look_up(name: &str, version: Version) -> Result<Vec<SocketAddr>, &'static str> {
    // What is empty, or has a NUL in it, no resolver knows.
    let Some(host) = CString::new(name).ok().filter(|_| !name.is_empty()) else {
        return Err(UNKNOWN);
    };
    let found =
        nsplice_sys::look_up(Some(&host), None, version.family(), 0).map_err(resolver_words)?;
    let mut addresses = Vec::new();
    for address in found {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    Ok(addresses)
}

/// A number as C's `strtoul` reads it with base 0, and what is behind it; `None` if there is no
/// digit at the start.
pub(crate) fn c_number(text: &str) -> Option<(u64, &str)> {
    if !text.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let hexadecimal = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let (digits, radix) = match hexadecimal {
        Some(rest) if rest.starts_with(|first: char| first.is_ascii_hexdigit()) => (rest, 16),
        _ if text.starts_with('0') => (text, 8),
        _ => (text, 10),
    };
    let end = digits.find(|letter: char| !letter.is_digit(radix)).unwrap_or(digits.len());
    let (number, rest) = digits.split_at(end);
    Some((u64::from_str_radix(number, radix).unwrap_or(u64::MAX), rest))
}

/// glibc's words for the errors of getaddrinfo(3).
fn resolver_words(error: i32) -> &'static str {
    match error {
        libc::EAI_NONAME => UNKNOWN,
        libc::EAI_AGAIN => "Temporary failure in name resolution",
        libc::EAI_FAIL => "Non-recoverable failure in name resolution",
        libc::EAI_FAMILY => "ai_family not supported",
        libc::EAI_MEMORY => "Memory allocation failure",
        libc::EAI_NODATA => "No address associated with hostname",
        libc::EAI_SERVICE => SERVICE,
        libc::EAI_SYSTEM => "System error",
        EAI_ADDRFAMILY => FAMILY,
        _ => "Unknown error",
    }
}

const UNKNOWN: &str = "Name or service not known";
const SERVICE: &str = "Servname not supported for ai_socktype";
const FAMILY: &str = "Address family for hostname not supported";

/// The libc crate does not have this one (netdb.h).
const EAI_ADDRFAMILY: i32 = -9;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Flags;

    fn name(host: &str, port: &str, version: Version) -> Name {
        let port = Port::read(
            OsStr::new(port),
            host,
            version,
            &Journal::early(&Flags::default(), "socat"),
        )
        .unwrap();
        Name { host: Host::read(OsStr::new(host)), port, version }
    }

    fn found(host: &str, version: Version) -> Result<Vec<String>, String> {
        let found = name(host, "80", version).ask()?;
        Ok(found.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn localhost_needs_no_hosts_file_and_keeps_to_its_version() {
        for (version, expected) in [
            (Version::V4, vec!["127.0.0.1:80"]),
            (Version::V6, vec!["[::1]:80"]),
            (Version::FourFirst, vec!["127.0.0.1:80", "[::1]:80"]),
            (Version::SixFirst, vec!["[::1]:80", "127.0.0.1:80"]),
            (Version::FourOrElse, vec!["127.0.0.1:80"]),
            (Version::SixOrElse, vec!["[::1]:80"]),
        ] {
            assert_eq!(found("localhost", version).unwrap(), expected);
        }
    }

    #[test]
    fn addresses_need_no_resolver_but_its_old_ways_work() {
        assert_eq!(found("[::1]", Version::FourFirst).unwrap(), ["[::1]:80"]);
        assert_eq!(found("127.0.0.9", Version::V4).unwrap(), ["127.0.0.9:80"]);
        assert_eq!(found("127.9", Version::V4).unwrap(), ["127.0.0.9:80"]);
    }

    #[test]
    fn what_is_not_found_is_told_as_the_call() {
        let family = "Address family for hostname not supported";
        for (host, version, told) in [
            (
                "127.0.0.1",
                Version::V6,
                format!("(\"127.0.0.1\", \"NULL\", {{1,10,1,6}}, {{}}): {family}"),
            ),
            ("[::1]", Version::V4, format!("(\"::1\", \"NULL\", {{5,2,1,6}}, {{}}): {family}")),
            ("", Version::V4, "(\"\", \"NULL\", {1,2,1,6}, {}): Name or service not known".into()),
        ] {
            assert_eq!(found(host, version).unwrap_err(), format!("getaddrinfo{told}"));
        }
        let unknown = found("nosuch.invalid", Version::FourFirst).unwrap_err();
        let start = "getaddrinfo(\"nosuch.invalid\", \"NULL\", {1,0,1,6}, {}): ";
        assert!(unknown.starts_with(start), "{unknown}");
    }

    #[test]
    fn ports_are_numbers_in_cs_notation_or_services() {
        for (word, number) in [("80", 80), ("0x50", 80), ("0120", 80), ("81x", 81), ("http", 80)] {
            assert_eq!(name("h", word, Version::V4).port.number, number, "{word}");
        }
        for (word, told) in [
            ("", "empty port/service"),
            ("99999", "port \"99999\" is out of range (0..65535)"),
            (
                "nosvc",
                "getaddrinfo\"h\", \"nosvc\", {1,2,1,0}, {}): Servname not supported for ai_socktype",
            ),
            (
                "-5",
                "getaddrinfo\"h\", \"-5\", {1,2,1,0}, {}): Servname not supported for ai_socktype",
            ),
        ] {
            let read = Port::read(OsStr::new(word), "h", Version::V4, &Journal::early(&Flags::default(), "socat"));
            assert_eq!(read.unwrap_err().message, told);
        }
    }
}
