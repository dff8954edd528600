//! Socket addresses as socat writes them: in messages, and in the variables of programs.
//!
//! In messages the family's number comes first: `AF=2 127.0.0.1:80`,
//! `AF=10 [0000:0000:0000:0000:0000:0000:0000:0001]:80`, `AF=1 "/run/x.sock"`, `AF=1 "\0abstract"`,
//! `AF=1 "<anon>"`, `AF=40 cid:2 port:80`. Variables have the same texts without family and quotes.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use socket2::{SockAddr, SockRef};

/// An address as messages have it.
pub(crate) fn spelled(address: &SockAddr) -> String {
    let family = address.family();
    if let Some(inet) = address.as_socket() {
        return format!("AF={family} {}:{}", host(inet.ip()), inet.port());
    }
    if let Some((cid, port)) = address.as_vsock_address() {
        return format!("AF={family} cid:{cid} port:{port}");
    }
    if family == unix_family() {
        return format!("AF={family} \"{}\"", escaped(&unix_name(address)));
    }
    format!("AF={family}")
}

/// An IP address as messages and variables have it: IPv6 in brackets and at full length.
pub(crate) fn host(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let groups = address.segments().map(|group| format!("{group:04x}"));
            format!("[{}]", groups.join(":"))
        }
    }
}

/// The length that socat gives for an address in messages.
pub(crate) fn length(address: &SockAddr) -> usize {
    if address.family() != unix_family() {
        return usize::try_from(address.len()).unwrap_or(usize::MAX);
    }
    // The name without a NUL at its end, which an abstract name does not have anyway.
    let name = match (address.as_pathname(), address.as_abstract_namespace()) {
        (Some(path), _) => path.as_os_str().len(),
        (None, Some(name)) => 1 + name.len(),
        (None, None) => 0,
    };
    size_of::<libc::sa_family_t>() + name
}

/// Returns what programs are told about the connection behind `socket`: the last part of a
/// variable's name (`PEERADDR`, `PEERPORT`, `SOCKADDR`, `SOCKPORT`) and its value. Empty if it is
/// not a socket.
pub(crate) fn exported(socket: BorrowedFd<'_>) -> Vec<(&'static str, OsString)> {
    let socket = SockRef::from(&socket);
    let mut told = Vec::new();
    for (address, host_name, port_name) in [
        (socket.peer_addr(), "PEERADDR", "PEERPORT"),
        (socket.local_addr(), "SOCKADDR", "SOCKPORT"),
    ] {
        let Ok(address) = address else {
            continue;
        };
        if let Some(inet) = address.as_socket() {
            told.push((host_name, host(inet.ip()).into()));
            told.push((port_name, inet.port().to_string().into()));
        } else if let Some((cid, port)) = address.as_vsock_address() {
            told.push((host_name, cid.to_string().into()));
            told.push((port_name, port.to_string().into()));
        } else if address.family() == unix_family() {
            told.push((host_name, unix_name(&address)));
        }
    }
    told
}

/// The port of the other side, where there are ports.
pub(crate) fn peer(socket: BorrowedFd<'_>) -> Option<SocketAddr> {
    SockRef::from(&socket).peer_addr().ok()?.as_socket()
}

/// The notice about a client that has been accepted.
pub(crate) fn accepting(client: BorrowedFd<'_>) -> String {
    let client = SockRef::from(&client);
    let [from, on] = [client.peer_addr(), client.local_addr()]
        .map(|address| address.map_or_else(|_| "NULL".to_owned(), |address| spelled(&address)));
    format!("accepting connection from {from} on {on}")
}

fn unix_name(address: &SockAddr) -> OsString {
    match (address.as_pathname(), address.as_abstract_namespace()) {
        (Some(path), _) => path.as_os_str().to_owned(),
        (None, Some(name)) => OsString::from_vec([br"\0".as_slice(), name].concat()),
        (None, None) => OsString::from("<anon>"),
    }
}

/// Text between quotes: a name may have any bytes, a message may not.
pub(crate) fn escaped(text: &OsStr) -> String {
    let mut told = String::new();
    for chunk in text.as_bytes().utf8_chunks() {
        for letter in chunk.valid().chars() {
            match letter {
                '"' => told.push_str("\\\""),
                letter if letter.is_control() => {
                    let _ = write!(told, "\\x{:02X}", u32::from(letter));
                }
                letter => told.push(letter),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(told, "\\x{byte:02X}");
        }
    }
    told
}

/// AF_UNIX in the type that addresses have it in.
fn unix_family() -> libc::sa_family_t {
    libc::sa_family_t::try_from(libc::AF_UNIX).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn addresses_are_spelled_with_their_family() {
        let spelled_inet = |text: &str| spelled(&text.parse::<SocketAddr>().unwrap().into());
        assert_eq!(spelled_inet("127.0.0.1:80"), "AF=2 127.0.0.1:80");
        assert_eq!(spelled_inet("[::1]:80"), "AF=10 [0000:0000:0000:0000:0000:0000:0000:0001]:80");
        assert_eq!(
            spelled_inet("[::ffff:127.0.0.1]:1"),
            "AF=10 [0000:0000:0000:0000:0000:ffff:7f00:0001]:1"
        );
        for (path, told, long) in [
            ("/run/x.sock", "AF=1 \"/run/x.sock\"", 13),
            ("a\"b\n", "AF=1 \"a\\\"b\\x0A\"", 6),
            ("\0name", "AF=1 \"\\0name\"", 7),
        ] {
            let address = SockAddr::unix(path).unwrap();
            assert_eq!(spelled(&address), told);
            assert_eq!(length(&address), long);
        }
        assert_eq!(spelled(&SockAddr::vsock(2, 80)), "AF=40 cid:2 port:80");
        let (one, _other) = UnixStream::pair().unwrap();
        let unnamed = SockRef::from(&one).local_addr().unwrap();
        assert_eq!((spelled(&unnamed).as_str(), length(&unnamed)), ("AF=1 \"<anon>\"", 2));
    }

    #[test]
    fn programs_are_told_both_ends_of_a_connection() {
        let listener = TcpListener::bind("[::1]:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (served, peer) = listener.accept().unwrap();
        let loopback = "[0000:0000:0000:0000:0000:0000:0000:0001]";
        let told = exported(served.as_fd());
        let expected: [(&str, OsString); 4] = [
            ("PEERADDR", loopback.into()),
            ("PEERPORT", peer.port().to_string().into()),
            ("SOCKADDR", loopback.into()),
            ("SOCKPORT", listener.local_addr().unwrap().port().to_string().into()),
        ];
        assert_eq!(told, expected);
        drop(client);
        let (one, _other) = UnixStream::pair().unwrap();
        let anonymous: OsString = "<anon>".into();
        assert_eq!(
            exported(one.as_fd()),
            [("PEERADDR", anonymous.clone()), ("SOCKADDR", anonymous)]
        );
        assert_eq!(exported(std::fs::File::open("/dev/null").unwrap().as_fd()), []);
    }
}
