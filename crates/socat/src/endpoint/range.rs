//! `range=`: which clients are let in, by their addresses.
//!
//! IPv4: `ADDRESS/BITS` or `ADDRESS:MASK`; IPv6: `[ADDRESS]/BITS`. The address may be a name.

use std::ffi::OsStr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::fault::Fault;

use super::inet::{look_up, Version};

/// The addresses of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Range {
    V4 { network: u32, mask: u32 },
    V6 { network: u128, mask: u128 },
}

impl Range {
    /// Reads the range `text` of a listener on IPv4, or on IPv6 if `six`.
    pub(crate) fn read(text: &OsStr, six: bool) -> Result<Self, Fault> {
        let text = text.to_string_lossy();
        if six {
            Self::read_v6(&text)
        } else {
            Self::read_v4(&text)
        }
    }

    fn read_v4(text: &str) -> Result<Self, Fault> {
        let (host, mask) = if let Some((host, bits)) = text.split_once('/') {
            let bits = bits_of(bits, text, 32)?;
            (host, u32::MAX.checked_shl(32 - bits).unwrap_or(0))
        } else if let Some((host, mask)) = text.split_once(':') {
            let mask = v4_of(mask)?;
            (host, u32::from(mask))
        } else {
            let what = format!("xioparsenetwork_ip4(\"{text}\",,): missing netmask delimiter");
            return Err(Fault::new(what));
        };
        Ok(Self::V4 { network: u32::from(v4_of(host)?) & mask, mask })
    }

    fn read_v6(text: &str) -> Result<Self, Fault> {
        let bracketed = text.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        let Some((host, rest)) = bracketed else {
            let what = format!("missing brackets for IPv6 range definition \"{text}\"");
            return Err(Fault::new(what));
        };
        let Some(bits) = rest.strip_prefix('/') else {
            let what =
                format!("xioparsenetwork_ip6(\"{text}\",,): missing mask bits delimiter '/'");
            return Err(Fault::new(what));
        };
        let bits = bits_of(bits, text, 128)?;
        let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
        Ok(Self::V6 { network: u128::from(v6_of(host)?) & mask, mask })
    }

    /// Returns whether `address` is one of them.
    pub(crate) fn has(self, address: IpAddr) -> bool {
        match (self, address) {
            (Self::V4 { network, mask }, IpAddr::V4(address)) => {
                u32::from(address) & mask == network
            }
            (Self::V6 { network, mask }, IpAddr::V6(address)) => {
                u128::from(address) & mask == network
            }
            _ => false,
        }
    }
}

fn bits_of(bits: &str, text: &str, most: u32) -> Result<u32, Fault> {
    let Ok(bits) = bits.parse::<u32>() else {
        return Err(Fault::new(format!("not a valid netmask in \"{text}\"")));
    };
    if bits > most {
        return Err(Fault::new(format!("netmask \"{text}\" is too large")));
    }
    Ok(bits)
}

fn v4_of(host: &str) -> Result<Ipv4Addr, Fault> {
    match address_of(host, Version::V4)? {
        IpAddr::V4(address) => Ok(address),
        IpAddr::V6(_) => Err(Fault::new(format!("\"{host}\" has no IPv4 address"))),
    }
}

fn v6_of(host: &str) -> Result<Ipv6Addr, Fault> {
    match address_of(host, Version::V6)? {
        IpAddr::V6(address) => Ok(address),
        IpAddr::V4(_) => Err(Fault::new(format!("\"{host}\" has no IPv6 address"))),
    }
}

/// Looks names up, too: this is done once, at start.
fn address_of(host: &str, version: Version) -> Result<IpAddr, Fault> {
    if let Ok(address) = host.parse() {
        return Ok(address);
    }
    let found = look_up(host, version).map_err(|reason| {
        Fault::new(format!("getaddrinfo(\"{host}\", \"NULL\", {{1,0,0,0}}, {{}}): {reason}"))
    })?;
    let first = found.first().map(SocketAddr::ip);
    first.ok_or_else(|| Fault::new(format!("\"{host}\" has no address")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, six: bool) -> Result<Range, String> {
        Range::read(OsStr::new(text), six).map_err(|fault| fault.message)
    }

    #[test]
    fn a_range_has_the_addresses_of_its_network() {
        for (text, six, inside, outside) in [
            ("10.1.2.3/8", false, "10.255.0.1", "11.0.0.1"),
            ("127.0.0.1:255.255.255.255", false, "127.0.0.1", "127.0.0.2"),
            ("1.2.3.4:255.0.0", false, "1.9.9.4", "2.2.3.4"),
            ("localhost/32", false, "127.0.0.1", "127.0.0.2"),
            ("[::1]/128", true, "::1", "::2"),
            ("[fd00::7]/8", true, "fd12::1", "fe80::1"),
        ] {
            let range = read(text, six).unwrap();
            assert!(range.has(inside.parse().unwrap()), "{text} {inside}");
            assert!(!range.has(outside.parse().unwrap()), "{text} {outside}");
        }
        assert!(read("0.0.0.0/0", false).unwrap().has("9.9.9.9".parse().unwrap()));
        assert!(!read("0.0.0.0/0", false).unwrap().has("::1".parse().unwrap()));
    }

    #[test]
    fn what_is_no_range_is_told_in_socats_words() {
        for (text, six, told) in [
            ("1.2.3.4", false, "xioparsenetwork_ip4(\"1.2.3.4\",,): missing netmask delimiter"),
            ("1.2.3.4/x", false, "not a valid netmask in \"1.2.3.4/x\""),
            ("1.2.3.4/33", false, "netmask \"1.2.3.4/33\" is too large"),
            ("1.2.3.0/24:255", false, "not a valid netmask in \"1.2.3.0/24:255\""),
            ("::1/128", true, "missing brackets for IPv6 range definition \"::1/128\""),
            ("[::1]/129", true, "netmask \"[::1]/129\" is too large"),
        ] {
            assert_eq!(read(text, six).unwrap_err(), told);
        }
    }
}
