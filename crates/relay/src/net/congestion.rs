//! Congestion controls that mode, and the loopback.
//!
//! BBR, the default of many servers, spreads over time what a socket sends, by a timer for each. On
//! the loopback there is no queue that this would keep short; with several streams it halves what
//! they carry, at twice the CPU. reno, which any process may choose (TCP_CONG_NON_RESTRICTED), does
//! nothing where nothing is lost. An accepted socket has the control of its listener, if that was
//! set with setsockopt(2) (`tcp_ca_openreq_child`).

use std::ffi::OsString;
use std::os::fd::AsFd;

use nix::sys::socket::sockopt::TcpCongestion;
use nix::sys::socket::{getsockopt, setsockopt};

/// Returns whether `socket` paces what it sends; no if that cannot be told.
pub fn is_paced(socket: &impl AsFd) -> bool {
    getsockopt(socket, TcpCongestion)
        .is_ok_and(|name| name.as_encoded_bytes().starts_with(PACING.as_bytes()))
}

/// Makes `socket`, whose peer is or will be on this machine, send without pacing. Where the kernel
/// does not let it, it goes on as it was.
pub fn unpace(socket: &impl AsFd) {
    let _ = setsockopt(socket, TcpCongestion, &OsString::from(UNPACED));
}

/// BBR and its later versions.
const PACING: &str = "bbr";

const UNPACED: &str = "reno";

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::{Domain, Socket, Type};

    #[test]
    fn a_socket_without_pacing_is_known() {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        unpace(&socket);
        assert_eq!(getsockopt(&socket, TcpCongestion).unwrap(), UNPACED);
        assert!(!is_paced(&socket));
        let other = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        unpace(&other);
        assert!(!is_paced(&other));
    }
}
