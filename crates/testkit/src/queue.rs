//! The queues of listening sockets, as /proc/net/tcp has them (Documentation/networking/proc_net_tcp
//! of the kernel): for a socket that listens `rx_queue` is the number of its clients.
//!
//! A connect(2) that has returned is no proof that the client is in the queue: the last packet of its
//! handshake may still be on its way on a busy machine.

use std::fmt::Display;
use std::fs;
use std::net::SocketAddr;

/// TCP_LISTEN.
const LISTENING: &str = "0A";

/// Clients that wait in the queue of whoever listens on the port of `address` in the namespace of this
/// thread; `None` if nobody does. Nobody is disturbed by the question.
pub fn waiting_at(address: SocketAddr) -> Option<usize> {
    waiting_beside("thread-self", address)
}

/// The same in the namespace of `process`, a number in /proc or one of its names.
pub fn waiting_beside(process: impl Display, address: SocketAddr) -> Option<usize> {
    let table = if address.is_ipv4() { "tcp" } else { "tcp6" };
    let sockets = fs::read_to_string(format!("/proc/{process}/net/{table}")).ok()?;
    let port = format!(":{:04X}", address.port());
    sockets.lines().find_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let is_ours = fields.next().is_some_and(|local| local.ends_with(&port));
        let is_listening = fields.nth(1) == Some(LISTENING);
        let (_, waiting) = fields.next().filter(|_| is_ours && is_listening)?.split_once(':')?;
        usize::from_str_radix(waiting, 16).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wait_until;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn clients_are_counted_until_they_are_accepted() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(address).unwrap();
            let address = listener.local_addr().unwrap();
            assert_eq!(waiting_at(address), Some(0));
            let _client = TcpStream::connect(address).unwrap();
            wait_until("the client in the queue", || waiting_at(address) == Some(1));
            let _accepted = listener.accept().unwrap();
            assert_eq!(waiting_at(address), Some(0));
            drop(listener);
            assert_eq!(waiting_at(address), None);
        }
    }
}
