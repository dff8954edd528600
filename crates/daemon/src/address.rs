//! Addresses to listen on, as `--address` takes them.
//!
//! kubectl's rule: an address that is named must be listened on; `localhost`, the default, stands
//! for 127.0.0.1 and ::1 and is content with one of them, because IPv6 is switched off on many
//! machines.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// An address to listen on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Address {
    /// The address.
    pub(crate) ip: IpAddr,
    /// True if it is one of the pair that `localhost` stands for, of which one is enough.
    pub(crate) either: bool,
}

/// One `--address`: an address, or several with commas between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AddressList(Vec<Address>);

/// An error in a list of addresses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an address to listen on: write an IP address such as 127.0.0.1 or ::1, or localhost")]
pub(crate) struct AddressError(String);

impl FromStr for AddressList {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let mut list = Vec::new();
        for part in text.split(',').map(str::trim) {
            if part == "localhost" {
                list.extend(localhost());
            } else {
                let ip = part.parse().map_err(|_| AddressError(part.to_owned()))?;
                list.push(Address { ip, either: false });
            }
        }
        Ok(Self(list))
    }
}

/// All addresses of `lists`, each once; `localhost` if there is none. An address that is named
/// and is part of `localhost` as well must be listened on.
pub(crate) fn merge(lists: Vec<AddressList>) -> Vec<Address> {
    let mut merged: Vec<Address> = Vec::new();
    for address in lists.into_iter().flat_map(|list| list.0) {
        match merged.iter_mut().find(|known| known.ip == address.ip) {
            Some(known) => known.either &= address.either,
            None => merged.push(address),
        }
    }
    if merged.is_empty() {
        merged.extend(localhost());
    }
    merged
}

fn localhost() -> [Address; 2] {
    [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]
        .map(|ip| Address { ip, either: true })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(texts: &[&str]) -> Vec<(String, bool)> {
        let lists = texts.iter().map(|text| text.parse().unwrap()).collect();
        merge(lists).iter().map(|address| (address.ip.to_string(), address.either)).collect()
    }

    #[test]
    fn the_default_is_localhost() {
        let both = vec![("127.0.0.1".to_owned(), true), ("::1".to_owned(), true)];
        assert_eq!(merged(&[]), both);
        assert_eq!(merged(&["localhost"]), both);
    }

    #[test]
    fn lists_and_repetitions_are_merged() {
        let expected = vec![("10.1.2.3".to_owned(), false), ("::1".to_owned(), false)];
        assert_eq!(merged(&["10.1.2.3,::1", "10.1.2.3"]), expected);
    }

    #[test]
    fn a_named_address_is_a_must_even_beside_localhost() {
        let expected = vec![("127.0.0.1".to_owned(), true), ("::1".to_owned(), false)];
        assert_eq!(merged(&["localhost,::1"]), expected);
    }

    #[test]
    fn names_and_ports_are_no_addresses() {
        for text in ["", "web", "127.0.0.1:80", "[::1]", "127.0.0.1,,::1", "127.1"] {
            assert!(text.parse::<AddressList>().is_err(), "{text}");
        }
    }
}
