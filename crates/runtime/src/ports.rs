//! The TCP ports that a network namespace listens on, as the kernel tells them (sock_diag(7)).
//!
//! A netlink socket that was made in the namespace asks for the sockets that listen; nothing is run
//! there, and nobody's /proc is read. Messages are built and read by `netlink-packet-sock-diag`, so that
//! no byte of the kernel's layout is counted here.

use std::io::{self, ErrorKind, Read};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use netlink_packet_core::{
    NetlinkHeader, NetlinkMessage, NetlinkPayload, NLM_F_DUMP, NLM_F_REQUEST,
};
use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6, IPPROTO_TCP};
use netlink_packet_sock_diag::inet::nlas::Nla;
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, SocketId, StateFlags};
use netlink_packet_sock_diag::SockDiagMessage;
use socket2::{Domain, Protocol, Socket, Type};

/// A socket that listens on a TCP port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listener {
    /// The port, from 1.
    pub port: u16,
    /// The address that it is bound to; an unspecified one (`0.0.0.0`, `::`) stands for all.
    pub address: IpAddr,
    /// Whether it leaves IPv4 to others (IPV6_V6ONLY); always so for an IPv6 address that is not `::`.
    pub only_ipv6: bool,
    /// Inode of the socket, by which the descriptors of a process are known to be this one.
    pub inode: u32,
}

impl Listener {
    /// Returns whether only the namespace itself reaches it. These are the ports that a forwarder is
    /// needed for.
    pub fn is_local(&self) -> bool {
        self.address.to_canonical().is_loopback()
    }

    /// The address and the port.
    pub fn socket_address(&self) -> SocketAddr {
        (self.address, self.port).into()
    }
}

/// The listening sockets that are listed at most: a namespace has no more than 65,535 ports, most of
/// them on one or two addresses.
const MOST: usize = 1 << 16;

/// What the kernel sends at once; it fits its messages into the buffer (netlink(7)).
const BUFFER: usize = 32 * 1024;

/// The kernel answers at once; a socket that does not is none of netlink.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Makes the socket for [`listeners`], in the network namespace that the thread is in.
///
/// # Errors
/// When the kernel has no netlink, or does not let us have it.
pub fn diag_socket() -> io::Result<Socket> {
    let netlink = Domain::from(libc::AF_NETLINK);
    Socket::new(netlink, Type::RAW, Some(Protocol::from(libc::NETLINK_SOCK_DIAG)))
}

/// Lists the TCP sockets that listen in the network namespace of `socket`, one of [`diag_socket`], by
/// port.
///
/// # Errors
/// What the kernel answers: EPERM, ENOENT where it was built without it (`CONFIG_INET_DIAG`).
pub fn listeners(socket: &Socket) -> io::Result<Vec<Listener>> {
    socket.set_nonblocking(false)?;
    socket.set_read_timeout(Some(TIMEOUT))?;
    let mut found = Vec::new();
    for (family, id) in [(AF_INET, SocketId::new_v4()), (AF_INET6, SocketId::new_v6())] {
        socket.send(&request(family, id))?;
        read_dump(socket, &mut found)?;
    }
    found.sort();
    found.dedup();
    Ok(found)
}

fn request(family: u8, socket_id: SocketId) -> Vec<u8> {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let (protocol, extensions) = (IPPROTO_TCP, ExtensionFlags::empty());
    let states = StateFlags::LISTEN;
    let request = InetRequest { family, protocol, extensions, states, socket_id };
    let mut message = NetlinkMessage::new(header, SockDiagMessage::InetRequest(request).into());
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}

fn read_dump(mut socket: &Socket, found: &mut Vec<Listener>) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let len = match socket.read(&mut buffer) {
            Ok(len) => len,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let mut rest = &buffer[..len];
        while !rest.is_empty() {
            let message =
                NetlinkMessage::<SockDiagMessage>::deserialize(rest).map_err(|error| {
                    io::Error::other(format!("unexpected netlink message: {error}"))
                })?;
            match message.payload {
                NetlinkPayload::Done(_) => return Ok(()),
                NetlinkPayload::Error(error) => return Err(error.to_io()),
                NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(response)) => {
                    let id = &response.header.socket_id;
                    let says_only = |nla: &Nla| matches!(nla, Nla::SkV6Only(true));
                    let only_ipv6 = id.source_address.is_ipv6()
                        && (!id.source_address.is_unspecified()
                            || response.nlas.iter().any(says_only));
                    if found.len() < MOST {
                        found.push(Listener {
                            port: id.source_port,
                            address: id.source_address,
                            only_ipv6,
                            inode: response.header.inode,
                        });
                    }
                }
                _ => {}
            }
            // Messages begin at multiples of four bytes: NLMSG_ALIGN of netlink(3).
            let taken = (message.header.length as usize).next_multiple_of(4);
            if taken == 0 {
                return Err(io::Error::other("a netlink message has no length"));
            }
            rest = rest.get(taken..).unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;

    use nix::sys::stat::fstat;

    #[test]
    fn our_own_listeners_are_listed_with_their_addresses_and_inodes() {
        for (address, is_local, only_ipv6) in [
            ("127.0.0.1:0", true, false),
            ("0.0.0.0:0", false, false),
            ("[::1]:0", true, true),
            ("[::]:0", false, false),
            ("[::ffff:127.0.0.1]:0", true, true),
        ] {
            let listener = TcpListener::bind(address).unwrap();
            let bound = listener.local_addr().unwrap();
            let inode = fstat(listener.as_fd()).unwrap().st_ino;
            let found = listeners(&diag_socket().unwrap()).unwrap();
            let ours: Vec<_> = found.iter().filter(|each| u64::from(each.inode) == inode).collect();
            let [ours] = ours.as_slice() else { panic!("{address}: {found:?}") };
            assert_eq!(ours.socket_address(), bound);
            assert_eq!((ours.is_local(), ours.only_ipv6), (is_local, only_ipv6), "{address}");
        }
    }

    #[test]
    fn connections_are_not_listed() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let port = client.local_addr().unwrap().port();
        let found = listeners(&diag_socket().unwrap()).unwrap();
        assert!(found.iter().all(|each| each.port != port), "{found:?}");
    }

    #[test]
    fn a_socket_that_is_not_netlink_is_an_error() {
        let stream = Socket::new(Domain::UNIX, Type::DGRAM, None).unwrap();
        listeners(&stream).unwrap_err();
    }
}
