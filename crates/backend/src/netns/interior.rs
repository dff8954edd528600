//! What a network namespace has inside: the ports it listens on, and its addresses.
//!
//! Sockets are made inside and asked at home; no program runs there. Addresses are read by getifaddrs(3),
//! which makes its own socket, so that is done during the excursion.

use std::net::IpAddr;

use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use nix::sys::socket::SockaddrStorage;

use nsplice_runtime::ports::{diag_socket, listeners, Listener};
use nsplice_sys::describe;

use crate::netns::excursion::visit;
use crate::netns::home::Home;
use crate::target::located::Located;

/// What a network namespace has inside.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Interior {
    /// The sockets that listen, by port.
    pub(crate) listeners: Vec<Listener>,
    /// The addresses of its interfaces but for those that only itself, or its link, can reach.
    pub(crate) addresses: Vec<IpAddr>,
}

/// Why it could not be seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Closed {
    /// It could not be entered.
    Entry(Errno),
    /// The kernel did not answer, in these words.
    Answer(String),
}

/// Looks into the namespace that `located` is in now.
pub(crate) fn look(located: &Located, home: &Home) -> Result<Interior, Closed> {
    let made = visit(located, home, || (diag_socket(), own_addresses()));
    let (socket, addresses) = made.map_err(Closed::Entry)?;
    let listeners = socket.and_then(|socket| listeners(&socket));
    let listeners = listeners.map_err(|error| Closed::Answer(describe(&error)))?;
    Ok(Interior { listeners, addresses })
}

/// The addresses of the namespace that this thread is in.
fn own_addresses() -> Vec<IpAddr> {
    let interfaces = getifaddrs().into_iter().flatten();
    let up = interfaces.filter(|one| !one.flags.contains(InterfaceFlags::IFF_LOOPBACK));
    let all = up.filter_map(|one| one.address.as_ref().and_then(ip_of));
    let mut all: Vec<IpAddr> = all.filter(|address| !is_of_link(address)).collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn ip_of(address: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| v4.ip().into());
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| v6.ip().into()))
}

/// Whether an address is good only together with an interface.
fn is_of_link(address: &IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::trail::Trail;
    use nsplice_testkit::Namespace;
    use std::net::TcpListener;
    use std::sync::Arc;

    #[test]
    fn ports_and_addresses_are_those_inside() {
        let Some(namespace) = Namespace::for_test("ports_and_addresses_are_those_inside") else {
            return;
        };
        namespace.run("ip", ["link", "add", "d0", "type", "veth", "peer", "name", "d1"]);
        namespace.run("ip", ["link", "set", "d0", "up"]);
        namespace.run("ip", ["link", "set", "d1", "up"]);
        namespace.run("ip", ["addr", "add", "10.77.0.1/24", "dev", "d0"]);
        namespace.run("ip", ["addr", "add", "fd77::1/64", "dev", "d0", "nodad"]);
        let listener = namespace.inside(|| TcpListener::bind("127.0.0.1:0")).unwrap();
        let located = Located::Path(Arc::new(Trail::find(&namespace.path())));
        let interior = look(&located, &Home::here().unwrap()).unwrap();
        let addresses: Vec<String> = interior.addresses.iter().map(ToString::to_string).collect();
        assert_eq!(addresses, ["10.77.0.1", "fd77::1"]);
        let bound: Vec<_> = interior.listeners.iter().map(Listener::socket_address).collect();
        assert_eq!(bound, [listener.local_addr().unwrap()]);
    }
}
