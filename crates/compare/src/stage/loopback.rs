//! The loopback interface of a new network namespace, which is down until somebody switches it on.
//!
//! Asked for over rtnetlink, because ip(8) may be missing. One request, RTM_NEWLINK with IFF_UP for
//! the interface 1, and its answer, an NLMSG_ERROR whose code 0 means that it is done.

use std::io::{self, Read};

use socket2::{Domain, Protocol, Socket, Type};

/// Loopback is the first interface of every namespace.
const LOOPBACK: i32 = 1;

const AF_NETLINK: i32 = 16;
const NETLINK_ROUTE: i32 = 0;
const NLMSG_ERROR: u16 = 2;
const RTM_NEWLINK: u16 = 16;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const IFF_UP: u32 = 1;

/// `struct nlmsghdr` and `struct ifinfomsg` have 16 bytes each.
const LENGTH: u32 = 32;

/// Offsets of the answer's type and of its code: after the header of the answer.
const TYPE_AT: usize = 4;
const CODE_AT: usize = 16;

/// Switches on the loopback interface of the namespace that this thread is in.
///
/// # Errors
/// What the kernel answers.
pub(crate) fn switch_on() -> io::Result<()> {
    let socket =
        Socket::new(Domain::from(AF_NETLINK), Type::RAW, Some(Protocol::from(NETLINK_ROUTE)))?;
    socket.send(&request())?;
    let mut answer = [0; 256];
    let read = (&socket).read(&mut answer)?;
    understand(&answer[..read])
}

fn request() -> Vec<u8> {
    let mut request = Vec::new();
    // struct nlmsghdr: length, type, flags, sequence, sender.
    request.extend(LENGTH.to_ne_bytes());
    request.extend(RTM_NEWLINK.to_ne_bytes());
    request.extend((NLM_F_REQUEST | NLM_F_ACK).to_ne_bytes());
    request.extend([0; 8]);
    // struct ifinfomsg: family and type, index, flags, and which of them change.
    request.extend([0; 4]);
    request.extend(LOOPBACK.to_ne_bytes());
    request.extend(IFF_UP.to_ne_bytes());
    request.extend(IFF_UP.to_ne_bytes());
    request
}

fn understand(answer: &[u8]) -> io::Result<()> {
    let kind = answer.get(TYPE_AT..TYPE_AT + 2).and_then(|bytes| bytes.try_into().ok());
    let code = answer.get(CODE_AT..CODE_AT + 4).and_then(|bytes| bytes.try_into().ok());
    match (kind.map(u16::from_ne_bytes), code.map(i32::from_ne_bytes)) {
        (Some(NLMSG_ERROR), Some(0)) => Ok(()),
        (Some(NLMSG_ERROR), Some(code)) => Err(io::Error::from_raw_os_error(-code)),
        _ => Err(io::Error::other("rtnetlink gave another answer than an acknowledgement")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_is_as_long_as_it_says() {
        assert_eq!(request().len(), LENGTH as usize);
    }

    #[test]
    fn the_kernels_codes_are_errors() {
        let mut answer = [0; 36];
        answer[4..6].copy_from_slice(&NLMSG_ERROR.to_ne_bytes());
        assert!(understand(&answer).is_ok());
        answer[16..20].copy_from_slice(&(-1i32).to_ne_bytes());
        assert_eq!(understand(&answer).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        assert!(understand(&answer[..10]).is_err());
    }
}
