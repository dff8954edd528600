//! The TCP ports that a network namespace listens on, as `/proc/PID/net/tcp` and `tcp6` of a process in it
//! have them (Documentation/networking/proc_net_tcp of the kernel). Anybody may read those, also who may
//! not enter the namespace and ask [`crate::ports`] there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd;

use nix::errno::Errno;

use crate::hold::text_below;
use crate::ports::Listener;
use crate::process::Process;
use crate::root::FileError;

/// Lists the TCP sockets that listen in the network namespace of `process`, by port.
///
/// # Errors
/// When the process has ended, or its files are not for us.
pub fn listeners_beside(process: &Process) -> Result<Vec<Listener>, FileError> {
    let directory = process.directory().ok_or(Errno::ESRCH)?;
    let mut found = Vec::new();
    for table in ["net/tcp", "net/tcp6"] {
        match text_below(directory.as_fd(), table, MOST) {
            Ok(text) => found.extend(listening(&String::from_utf8_lossy(&text))),
            // A kernel without IPv6 has no table of it.
            Err(FileError::Absent) if table == "net/tcp6" && process.is_alive() => {}
            Err(error) => return Err(error),
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// The rows of a table whose sockets listen.
fn listening(table: &str) -> Vec<Listener> {
    table.lines().filter_map(listener).collect()
}

fn listener(row: &str) -> Option<Listener> {
    let mut fields = row.split_ascii_whitespace();
    let local = fields.nth(1)?;
    if fields.nth(1)? != LISTENING {
        return None;
    }
    let inode = fields.nth(5)?.parse().ok()?;
    let (address, port) = local.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let address = address_of(address)?;
    let only_ipv6 = address.is_ipv6() && !address.is_unspecified();
    Some(Listener { port, address, only_ipv6, inode })
}

/// An address as the kernel prints it: the words of 32 bits as numbers of this machine.
fn address_of(text: &str) -> Option<IpAddr> {
    if !text.is_ascii() {
        return None;
    }
    let word = |at: usize| {
        let digits = text.get(at..at + 8)?;
        u32::from_str_radix(digits, 16).ok().map(u32::to_ne_bytes)
    };
    match text.len() {
        8 => word(0).map(|bytes| Ipv4Addr::from(bytes).into()),
        32 => {
            let mut bytes = [0; 16];
            for (four, at) in bytes.chunks_exact_mut(4).zip([0, 8, 16, 24]) {
                four.copy_from_slice(&word(at)?);
            }
            Some(Ipv6Addr::from(bytes).into())
        }
        _ => None,
    }
}

/// TCP_LISTEN.
const LISTENING: &str = "0A";

/// A row has 150 bytes; those of connections are in the table, too.
const MOST: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::{diag_socket, listeners};
    use proptest::prelude::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn the_table_says_what_the_kernel_says() {
        let bound: Vec<TcpListener> = ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"]
            .map(|address| TcpListener::bind(address).unwrap())
            .into();
        let _client = TcpStream::connect(bound[0].local_addr().unwrap()).unwrap();
        let ports: Vec<u16> =
            bound.iter().map(|listener| listener.local_addr().unwrap().port()).collect();
        let of_ours = |all: Vec<Listener>| -> Vec<Listener> {
            all.into_iter().filter(|one| ports.contains(&one.port)).collect()
        };
        let ourselves = Process::find(std::process::id()).unwrap();
        let table = of_ours(listeners_beside(&ourselves).unwrap());
        assert_eq!(table.len(), 4);
        assert_eq!(table, of_ours(listeners(&diag_socket().unwrap()).unwrap()));
    }

    #[test]
    fn a_process_that_has_ended_listens_on_nothing() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let process = Process::find(child.id());
        child.wait().unwrap();
        if let Ok(process) = process {
            listeners_beside(&process).unwrap_err();
        }
    }

    proptest! {
        #[test]
        fn whatever_the_table_has_is_read_or_passed_over(table in "(.{0,80}\n){0,3}") {
            let _ = listening(&table);
        }

        #[test]
        fn a_row_is_read_back(address: IpAddr, port in 1u16.., inode: u32) {
            let words = match address {
                IpAddr::V4(v4) => v4.octets().to_vec(),
                IpAddr::V6(v6) => v6.octets().to_vec(),
            };
            let words: String = words
                .chunks_exact(4)
                .map(|four| format!("{:08X}", u32::from_ne_bytes(four.try_into().unwrap())))
                .collect();
            let row = |state: &str| format!(
                "   0: {words}:{port:04X} 00000000:0000 {state} 00000000:00000000 00:00000000 \
                 00000000     0        0 {inode} 1 0000000000000000 100 0 0 10 0"
            );
            let table = format!("  sl  local_address\n{}\n{}\n", row("0A"), row("01"));
            let [only] = listening(&table).try_into().unwrap();
            let Listener { address: read, port: same, inode: its, .. } = only;
            prop_assert_eq!((read, same, its), (address, port, inode));
        }
    }
}
