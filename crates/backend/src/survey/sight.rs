//! The progress of a program's connection, seen from outside: in its descriptors and the table
//! of TCP sockets of its namespace (proc_pid_fd(5), `Documentation/networking/proc_net_tcp`).
//!
//! A child says only by its end that it could not connect, and never that it could. Whoever wants to
//! compare it with a connect of our own has to look.

use std::collections::HashSet;
use std::fs;

/// The state of a program's connection to a port, as far as it is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sight {
    /// None: it is not that far yet, it is another process that connects, or we may not look.
    Nothing,
    /// It is being opened.
    Connecting,
    /// It stands, or has stood.
    Connected,
}

/// Returns what is seen of the connection of process `pid` to any address of `port`.
pub(crate) fn of(pid: u32, port: u16) -> Sight {
    let sockets = sockets(pid);
    let tables = ["tcp", "tcp6"].map(|table| {
        let table = fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default();
        seen(&table, &sockets, port)
    });
    match tables {
        [Sight::Nothing, other] => other,
        [found, _] => found,
    }
}

/// The inodes of its sockets.
fn sockets(pid: u32) -> HashSet<String> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let links = entries.filter_map(|entry| fs::read_link(entry.path()).ok());
    links.filter_map(|link| inode(link.to_str()?).map(str::to_owned)).collect()
}

fn inode(link: &str) -> Option<&str> {
    link.strip_prefix("socket:[")?.strip_suffix(']')
}

/// What `table` has of those of `sockets` that lead to `port`.
fn seen(table: &str, sockets: &HashSet<String>, port: u16) -> Sight {
    let port = format!(":{port:04X}");
    let mut sight = Sight::Nothing;
    for line in table.lines() {
        let fields: Vec<_> = line.split_whitespace().collect();
        let [_, _, remote, state, _, _, _, _, _, inode, ..] = fields.as_slice() else { continue };
        if !remote.ends_with(&port) || !sockets.contains(*inode) {
            continue;
        }
        match *state {
            SYN_SENT => sight = Sight::Connecting,
            CLOSE => {}
            _ => return Sight::Connected,
        }
    }
    sight
}

/// States of `include/net/tcp_states.h`.
const SYN_SENT: &str = "02";
const CLOSE: &str = "07";

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn states_are_told_apart() {
        let head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode";
        let row = |remote: &str, state: &str, inode: u32| {
            format!("   0: 0100007F:C350 {remote} {state} 00000000:00000000 00:00000000 00000000     0        0 {inode} 1 0000000000000000 20 4 30 10 -1")
        };
        let ours: HashSet<_> = ["7".to_owned(), "8".to_owned()].into();
        let table = [
            (vec![], Sight::Nothing),
            (vec![row("0100007F:0050", "01", 7)], Sight::Connected),
            (vec![row("0100007F:0050", "08", 7)], Sight::Connected),
            (vec![row("0100007F:0050", "02", 7)], Sight::Connecting),
            (vec![row("0100007F:0050", "07", 7)], Sight::Nothing),
            (vec![row("0100007F:0050", "01", 9)], Sight::Nothing),
            (vec![row("0100007F:0051", "01", 7)], Sight::Nothing),
            (vec![row("0100007F:0050", "02", 7), row("0100007F:0050", "01", 8)], Sight::Connected),
        ];
        for (rows, sight) in table {
            let text = [head.to_owned()].into_iter().chain(rows).collect::<Vec<_>>().join("\n");
            assert_eq!(seen(&text, &ours, 80), sight, "{text}");
        }
    }

    #[test]
    fn our_own_connections_are_seen() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(address).unwrap();
            let address = listener.local_addr().unwrap();
            assert_eq!(of(std::process::id(), address.port()), Sight::Nothing);
            let _client = TcpStream::connect(address).unwrap();
            assert_eq!(of(std::process::id(), address.port()), Sight::Connected);
        }
    }
}
