//! Names looked up off the loop, by the system's own resolver.
//!
//! getaddrinfo(3) knows `/etc/hosts`, search domains and whatever else the node has been told; it
//! also blocks, so it runs on the threads of `offload.rs`. The look-up happens on the node: a
//! container's resolver files are in its mount namespace, not in its network namespace.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

use nsplice_relay::open::describe;
use nsplice_relay::{OpenClass, OpenError};

use crate::destination::Destination;
use crate::offload::{offload, Offloaded};

/// What a look-up brings: at least one address, in the resolver's order of preference.
pub(crate) type Resolved = Result<Vec<SocketAddr>, OpenError>;

/// Begins to look `name` up for `destination`.
pub(crate) fn resolve(name: &str, destination: &Destination) -> io::Result<Offloaded<Resolved>> {
    let (name, port, within) = (name.to_owned(), destination.port, destination.within());
    offload(move || look_up(&name, port, &within))
}

fn look_up(name: &str, port: u16, within: &str) -> Resolved {
    let failed = |reason: &str| {
        let detail = format!("cannot resolve {name} {within}: {reason}");
        OpenError::new(OpenClass::NameUnknown, detail)
    };
    let found = (name, port).to_socket_addrs().map_err(|error| {
        if error.raw_os_error().is_some() {
            return OpenError::from_io(format!("cannot resolve {name} {within}"), &error);
        }
        let told = describe(&error);
        failed(told.strip_prefix(STD_PREFIX).unwrap_or(&told))
    })?;
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for address in found {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        return Err(failed("the name has no address"));
    }
    Ok(addresses)
}

/// What std puts before the resolver's own words.
const STD_PREFIX: &str = "failed to lookup address information: ";

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn a_name_of_the_hosts_file_is_found_once() {
        let found = look_up("localhost", 80, "for tcp/localhost").unwrap();
        assert!(found.iter().all(|address| address.ip().is_loopback() && address.port() == 80));
        assert_eq!(found.iter().collect::<HashSet<_>>().len(), found.len());
    }

    #[test]
    fn an_unknown_name_is_told_with_the_target() {
        let error =
            look_up("no-such-host.invalid", 80, "for tcp/no-such-host.invalid").unwrap_err();
        assert_eq!(error.class, OpenClass::NameUnknown);
        assert!(
            error.detail.starts_with("cannot resolve no-such-host.invalid for tcp/"),
            "{error}"
        );
        assert!(!error.detail.contains(STD_PREFIX), "{error}");
    }
}
