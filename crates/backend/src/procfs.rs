//! /proc, without which much cannot be found out: namespaces, processes, our own program.
//!
//! Where it is not mounted every path below it is just "not there", which says nothing of the reason.
//!
//! What we read below it is a field here and a line there, and is read where it is wanted. The crate
//! procfs knows neither fdinfo nor uid_map; of the others it makes structs of whole files, which fail as
//! a whole where a kernel leaves out or adds what we never asked for; and it brings rustix, a second
//! layer of system calls beside nix.

use std::io;

use nix::sys::statfs::{statfs, PROC_SUPER_MAGIC};

/// Returns the error that `error` of a path below /proc really is.
pub fn of_proc(error: io::Error) -> io::Error {
    let is_mounted = statfs("/proc").is_ok_and(|there| there.filesystem_type() == PROC_SUPER_MAGIC);
    if is_mounted {
        return error;
    }
    let words = "/proc is not mounted; `mount -t proc proc /proc` would help";
    io::Error::new(error.kind(), words)
}
