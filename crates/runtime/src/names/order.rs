//! The order in which addresses are tried: first those that there is a route to, and of these in the
//! order of RFC 6724, section 2.1.
//!
//! The kernel is asked for the route: connect(2) of a UDP socket sends nothing and fails where there is
//! none. Which of several addresses is nearer is not asked for; a race decides that.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use socket2::{Domain, Type};

use super::exchange::Sockets;

/// A port for connect(2); nothing is sent to it.
const ANY_PORT: u16 = 53;

/// Orders addresses, the likeliest to be reached first. The order among those of one kind is kept: the
/// server's, which may deal out the load by it.
pub(super) fn arrange(mut addresses: Vec<IpAddr>, sockets: &dyn Sockets) -> Vec<IpAddr> {
    if addresses.len() > 1 {
        addresses
            .sort_by_cached_key(|each| (!is_routed(*each, sockets), std::cmp::Reverse(rank(each))));
    }
    addresses
}

fn is_routed(address: IpAddr, sockets: &dyn Sockets) -> bool {
    let address: SocketAddr = (address, ANY_PORT).into();
    let connected = sockets
        .socket(Domain::for_address(address), Type::DGRAM)
        .and_then(|socket| socket.connect(&address.into()));
    connected.is_ok()
}

/// The precedence of RFC 6724's table; IPv4 has that of `::ffff:0:0/96`.
fn rank(address: &IpAddr) -> u8 {
    let IpAddr::V6(address) = address else { return 35 };
    let [first, second, ..] = address.segments();
    match (first, second) {
        _ if *address == Ipv6Addr::LOCALHOST => 50,
        (0x2002, _) => 30,
        (0x2001, 0) => 5,
        (0xfc00..=0xfdff, _) => 3,
        _ => 40,
    }
}
