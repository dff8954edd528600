//! A destination: a host and a port, inside a target.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use nsplice_relay::{OpenClass, OpenError};

use crate::target::host::Host;
use crate::target::Target;

/// A host and a port inside a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// Whose namespace, or [`Target::Tcp`].
    pub target: Target,
    /// The host inside it. [`Host::Localhost`], the default, means the host itself for
    /// [`Target::Tcp`].
    pub host: Host,
    /// The TCP port, from 1.
    pub port: u16,
}

impl Destination {
    /// Returns whether this is certain to be who listens on `address`: a plain dial to the same port
    /// of this machine's own loopback.
    pub fn leads_to(&self, address: SocketAddr) -> bool {
        let Target::Tcp(_) = &self.target else { return false };
        let is_same = |reached: IpAddr| {
            let is_any = address.ip().is_unspecified() && address.is_ipv4() == reached.is_ipv4();
            reached == address.ip() || (is_any && reached.is_loopback())
        };
        self.port == address.port()
            && match self.reached() {
                Host::Address(reached) => is_same(reached),
                // Tried first of what it stands for, and whoever listens there would answer.
                Host::Localhost => is_same(Ipv4Addr::LOCALHOST.into()),
                Host::Name(_) => false,
            }
    }

    /// The host that is connected to.
    pub(crate) fn reached(&self) -> Host {
        match (&self.target, &self.host) {
            // The words of a target were read by the same parser.
            (Target::Tcp(host), Host::Localhost) => {
                host.parse().unwrap_or_else(|_| Host::Name(host.clone()))
            }
            (_, host) => host.clone(),
        }
    }

    /// The addresses to connect to, from home, where the target is behind `addresses`.
    pub(crate) fn behind(&self, addresses: &[IpAddr]) -> Result<Arc<[SocketAddr]>, OpenError> {
        if self.host != Host::Localhost {
            let detail = format!(
                "cannot connect to {} in {}: its runtime keeps its network to itself, and only what \
                 listens at its own address is reached",
                self.host, self.target
            );
            return Err(OpenError::new(OpenClass::Other, detail));
        }
        Ok(addresses.iter().map(|address| SocketAddr::new(*address, self.port)).collect())
    }

    /// The target as the end of a sentence about an address: `in pid/4947`, `for tcp/db`.
    pub(crate) fn within(&self) -> String {
        match &self.target {
            Target::Tcp(_) => format!("for {}", self.target),
            target => format!("in {target}"),
        }
    }
}

impl fmt::Display for Destination {
    /// `localhost:8080 in pid/4947`, or `tcp/db:5432`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reached = self.reached().to_string();
        let host = if reached.contains(':') { format!("[{reached}]") } else { reached };
        match &self.target {
            Target::Tcp(_) => write!(f, "tcp/{host}:{}", self.port),
            target => write!(f, "{host}:{} in {target}", self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_printed_with_their_target() {
        let to = |target: &str, host: &str| Destination {
            target: target.parse().unwrap(),
            host: host.parse().unwrap(),
            port: 80,
        };
        assert_eq!(to("pid/7", "localhost").to_string(), "localhost:80 in pid/7");
        assert_eq!(to("netns/blue", "::1").to_string(), "[::1]:80 in netns/blue");
        assert_eq!(to("tcp/db", "localhost").to_string(), "tcp/db:80");
        assert_eq!(to("tcp/[::1]", "localhost").to_string(), "tcp/[::1]:80");
    }
}
