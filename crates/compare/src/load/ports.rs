//! Free ports that stay free.
//!
//! A port from the range of outgoing connections (`ip_local_port_range`) may be free now and be taken by any connect
//! a moment later, and this program makes thousands of them. So ports are looked for below that range. The start is
//! spread by process id, so that two benchmarks side by side do not race for the same ones.

use super::failure::Failure;
use std::net::{Ipv4Addr, TcpListener};

/// Ports below this need privilege, or belong to services that people know by number.
const LOWEST: u16 = 10_000;

/// The kernel's default start of the range of outgoing connections.
const DEFAULT_RANGE_START: u16 = 32_768;

/// Finds `count` different ports that are free on 127.0.0.1.
///
/// # Errors
///
/// When there are not that many.
pub fn free(count: usize) -> Result<Vec<u16>, Failure> {
    let range =
        std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let highest = below(&range);
    let span = highest - LOWEST;
    let start = u16::try_from(std::process::id() % u32::from(span)).unwrap_or(0);
    // A listener is held until all are found, so that no port is given twice.
    let mut held = Vec::new();
    let mut found = Vec::new();
    for step in 0..span {
        if found.len() == count {
            break;
        }
        let offset = (u32::from(start) + u32::from(step)) % u32::from(span);
        let port = LOWEST + u16::try_from(offset).unwrap_or(0);
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            held.push(listener);
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

/// The first port of the outgoing range, or the kernel's default where that leaves us too little room.
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

    #[test]
    fn the_outgoing_range_is_avoided() {
        assert_eq!(below("32768\t60999\n"), 32_768);
        assert_eq!(below("20000 60999"), 20_000);
        assert_eq!(below("1024 65535"), DEFAULT_RANGE_START);
        assert_eq!(below(""), DEFAULT_RANGE_START);
    }

    #[test]
    fn ports_differ() {
        let mut ports = free(3).expect("three free ports");
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 3);
    }
}
