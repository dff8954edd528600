//! Free ports that stay free.
//!
//! A port from the range of outgoing connections (`ip_local_port_range`) may be free now and be
//! taken by any connect a moment later, and this program makes thousands of them. So ports are
//! looked for below that range. The start is spread by process id, so that two benchmarks side by
//! side do not race for the same ones; and one process goes on where it stopped, so that it gives
//! none twice to those who have yet to listen on it.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

use super::failure::Failure;

/// Ports below this need privilege, or belong to services that people know by number.
const LOWEST: u16 = 10_000;

/// The kernel's default start of the range of outgoing connections.
const DEFAULT_RANGE_START: u16 = 32_768;

/// From the first port of a process to that of the next: more than one looks at, mostly.
const STRIDE: u32 = 97;

/// Ports that this process has looked at.
static LOOKED_AT: AtomicU32 = AtomicU32::new(0);

/// Finds `count` different ports that are free on 127.0.0.1.
///
/// # Errors
/// When there are not that many.
pub fn free(count: usize) -> Result<Vec<u16>, Failure> {
    let range =
        std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let highest = below(&range);
    let span = highest - LOWEST;
    let mut found = Vec::new();
    for _ in 0..span {
        if found.len() == count {
            break;
        }
        let step = LOOKED_AT.fetch_add(1, Ordering::Relaxed);
        let offset = std::process::id().wrapping_mul(STRIDE).wrapping_add(step) % u32::from(span);
        let port = LOWEST + u16::try_from(offset).unwrap_or(0);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            found.push(port);
        }
    }
    if found.len() == count {
        Ok(found)
    } else {
        Err(Failure::Relay(format!(
            "only {} of {count} ports are free from {LOWEST} to {highest}",
            found.len()
        )))
    }
}

/// The first port of the outgoing range, or the kernel's default where that leaves us too little
/// room.
fn below(range: &str) -> u16 {
    range
        .split_whitespace()
        .next()
        .and_then(|word| word.parse().ok())
        .filter(|&first| first >= LOWEST + 1000)
        .unwrap_or(DEFAULT_RANGE_START)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn the_outgoing_range_is_avoided() {
        assert_eq!(below("32768\t60999\n"), 32_768);
        assert_eq!(below("20000 60999"), 20_000);
        assert_eq!(below("1024 65535"), DEFAULT_RANGE_START);
        assert_eq!(below(""), DEFAULT_RANGE_START);
    }

    #[test]
    fn no_port_is_given_twice() {
        let mut ports: Vec<_> = thread::scope(|threads| {
            let finders: Vec<_> = (0..8).map(|_| threads.spawn(|| free(3))).collect();
            finders.into_iter().flat_map(|finder| finder.join().unwrap().unwrap()).collect()
        });
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 24);
    }
}
