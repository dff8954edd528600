//! A host inside a target.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// A host as it is seen from inside the target.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Host {
    /// `localhost`: 127.0.0.1, and ::1 if nothing answers there.
    #[default]
    Localhost,
    /// This address.
    Address(IpAddr),
    /// This name, looked up as the target resolves it. A program of the backend `external` looks it up by
    /// itself, by the node's files.
    Name(String),
}

/// An error in the words for a host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// Nothing there.
    #[error("a host is missing: an address or a name is needed")]
    Empty,
    /// Neither an address nor a name.
    #[error("`{0}` is neither an IP address nor a host name")]
    Malformed(String),
}

impl FromStr for Host {
    type Err = HostError;

    fn from_str(words: &str) -> Result<Self, HostError> {
        if words.is_empty() {
            return Err(HostError::Empty);
        }
        if words.eq_ignore_ascii_case("localhost") {
            return Ok(Self::Localhost);
        }
        if let Some(inner) = words.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            return match inner.parse::<Ipv6Addr>() {
                Ok(address) => Ok(Self::Address(address.into())),
                Err(_) if is_scoped(inner) => Ok(Self::Name(inner.to_owned())),
                Err(_) => Err(HostError::Malformed(words.to_owned())),
            };
        }
        match words.parse() {
            Ok(address) => Ok(Self::Address(address)),
            Err(_) if is_name(words) || is_scoped(words) => Ok(Self::Name(words.to_owned())),
            Err(_) => Err(HostError::Malformed(words.to_owned())),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Localhost => f.write_str("localhost"),
            Self::Address(address) => write!(f, "{address}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

impl Host {
    /// Returns whether this is an IPv6 address with a zone (`fe80::1%eth0`), which getaddrinfo(3)
    /// takes for a name. The zone is an interface of the namespace it is looked up in.
    pub(crate) fn is_scoped(&self) -> bool {
        matches!(self, Self::Name(name) if is_scoped(name))
    }
}

/// The letters of host names, and the underscore that names inside clusters like to have. Whatever
/// else comes (commas, colons, blanks) would mean something to socat.
fn is_name(words: &str) -> bool {
    words.len() <= LONGEST_NAME
        && !words.starts_with(['-', '.'])
        && words.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

fn is_scoped(words: &str) -> bool {
    words.split_once('%').is_some_and(|(address, zone)| {
        address.parse::<Ipv6Addr>().is_ok() && !zone.is_empty() && is_name(zone)
    })
}

/// RFC 1035, section 3.1, without the root's dot.
const LONGEST_NAME: usize = 253;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_and_printed_back() {
        let address = |words: &str| Host::Address(words.parse().unwrap());
        let table = [
            ("localhost", Host::Localhost, "localhost"),
            ("LocalHost", Host::Localhost, "localhost"),
            ("127.0.0.1", address("127.0.0.1"), "127.0.0.1"),
            ("::1", address("::1"), "::1"),
            ("[::1]", address("::1"), "::1"),
            ("::ffff:10.0.0.1", address("::ffff:10.0.0.1"), "::ffff:10.0.0.1"),
            ("my_db.svc", Host::Name("my_db.svc".into()), "my_db.svc"),
            ("fe80::1%eth0", Host::Name("fe80::1%eth0".into()), "fe80::1%eth0"),
            ("[fe80::1%eth0]", Host::Name("fe80::1%eth0".into()), "fe80::1%eth0"),
        ];
        for (words, host, printed) in table {
            assert_eq!(words.parse(), Ok(host.clone()), "{words}");
            assert_eq!(host.to_string(), printed);
        }
    }

    #[test]
    fn what_socat_or_a_resolver_would_misread_is_no_host() {
        assert_eq!("".parse::<Host>(), Err(HostError::Empty));
        let long = "a".repeat(254);
        for words in
            ["a,fork", "a:80", "a b", "a!!b", "-v", ".a", "[a]", "[127.0.0.1]", "%eth0", &long]
        {
            assert_eq!(words.parse::<Host>(), Err(HostError::Malformed(words.into())), "{words}");
        }
    }
}
