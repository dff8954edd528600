//! Settings of TCP in a new network namespace, made before anything is measured in it.
//!
//! A wide range of outgoing ports: a narrow one makes connect(2) search for a free port among
//! thousands in TIME_WAIT, which would charge the fastest relays for being fast. Listeners use
//! ports below it.
//!
//! A congestion control without pacing: BBR, where it is the default, paces what it sends with
//! timers; on loopback that costs several times as much as the relay itself and hides it. Linux's
//! own default is cubic, but a namespace may not choose that where the administrator chose another;
//! reno it may, and without loss the two are the same.
//!
//! All of it is best effort: /proc/sys may be read-only here. What was in force is in the report.

use std::fs;

/// The directory of TCP's settings of the namespace that the calling thread is in.
const SETTINGS: &str = "/proc/sys/net/ipv4";

/// Ports of outgoing connections.
const OUTGOING: &str = "20000 65535";

/// Congestion controls that do not pace, the better known first.
const UNPACED: [&str; 2] = ["cubic", "reno"];

/// Tells it to the namespace that this thread is in.
pub(crate) fn apply() {
    let _ = fs::write(format!("{SETTINGS}/ip_local_port_range"), OUTGOING);
    if !UNPACED.contains(&congestion_control().as_str()) {
        let path = format!("{SETTINGS}/tcp_congestion_control");
        let _ = UNPACED.iter().find(|name| fs::write(&path, name).is_ok());
    }
}

/// TCP's congestion control in the namespace that this thread is in; empty if that cannot be read.
pub(crate) fn congestion_control() -> String {
    let text = fs::read_to_string(format!("{SETTINGS}/tcp_congestion_control"));
    text.unwrap_or_default().trim().to_owned()
}
