//! /proc, without which much cannot be found out: namespaces, processes, our own program.
//!
//! Where it is not mounted every path below it is just "not there", which says nothing of the reason.

use std::io;

use nix::sys::statfs::{statfs, PROC_SUPER_MAGIC};

/// The error that `error` of a path below /proc really is.
pub fn of_proc(error: io::Error) -> io::Error {
    let is_mounted = statfs("/proc").is_ok_and(|there| there.filesystem_type() == PROC_SUPER_MAGIC);
    if is_mounted {
        return error;
    }
    let words = "/proc is not mounted; `mount -t proc proc /proc` would help";
    io::Error::new(error.kind(), words)
}
