//! CPU and memory of a process and its children, where there is no control group to ask.
//!
//! Weaker than a group in two ways, so it is the fall-back: `/proc/PID/stat` counts in ticks of 10
//! ms, and a child that came and went is only in its parent's "children" times. Kernel memory is
//! not in it at all.
//!
//! A [`Footprint`] is another thing: the exact memory of one process, for comparing programs of
//! which one connection takes one.

use std::fs;
use std::io;
use std::ops::AddAssign;
use std::time::Duration;

use nsplice_trial::process;

use super::failure::Failure;

/// CPU time of `pid` and its descendants so far.
///
/// # Errors
/// When the process is gone.
pub(crate) fn cpu(pid: u32) -> Result<Duration, Failure> {
    Ok(family(pid)?.iter().map(|one| one.own_time + one.children_time).sum())
}

/// Resident memory of `pid` and its descendants, in bytes.
///
/// # Errors
/// When the process is gone.
pub(crate) fn memory(pid: u32) -> Result<u64, Failure> {
    // A descendant may have ended since it was listed.
    Ok(family(pid)?.iter().filter_map(|one| process::resident(one.pid).ok()).sum())
}

/// Processes, and the descriptors that are open in them.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Holdings {
    /// The number of processes.
    pub processes: usize,
    /// The number of descriptors in all of them.
    pub descriptors: usize,
}

/// The processes `pids` that live, with their descriptors; `None` where one is not ours to look at.
pub(crate) fn holdings(pids: &[u32]) -> Option<Holdings> {
    let mut holdings = Holdings::default();
    for pid in pids {
        match fs::read_dir(format!("/proc/{pid}/fd")) {
            Ok(entries) => {
                holdings.processes += 1;
                holdings.descriptors += entries.count();
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return None,
            // It has ended since it was listed.
            Err(_) => {}
        }
    }
    Some(holdings)
}

/// The process `pid` and all its descendants.
///
/// # Errors
/// When the process is gone.
pub(crate) fn tree(pid: u32) -> Result<Vec<u32>, Failure> {
    Ok(family(pid)?.iter().map(|one| one.pid).collect())
}

/// The memory of one process.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Footprint {
    /// Bytes mapped in.
    pub resident: u64,
    /// Bytes of that which are its own, and no file's: what one more such process costs.
    pub own: u64,
}

impl AddAssign for Footprint {
    fn add_assign(&mut self, other: Self) {
        self.resident += other.resident;
        self.own += other.own;
    }
}

/// The memory of `pid` alone.
///
/// # Errors
/// When the process is gone, or is not ours to look at.
pub(crate) fn footprint(pid: u32) -> Result<Footprint, Failure> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = fs::read_to_string(&path)
        .map_err(|error| Failure::system(format!("read {path}"), error))?;
    parse_rollup(&text).ok_or_else(|| Failure::Relay(format!("{path} holds no Rss and Anonymous")))
}

fn parse_rollup(text: &str) -> Option<Footprint> {
    let bytes = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
    };
    Some(Footprint { resident: bytes("Rss:")?, own: bytes("Anonymous:")? })
}

/// `root` and everything under it.
fn family(root: u32) -> Result<Vec<process::Stat>, Failure> {
    process::tree(root).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Failure::Relay(format!("process {root} is gone")),
        _ => Failure::system("read /proc", error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rollup_is_read() {
        let text = "5582-7ffe ---p 00000000 00:00 0    [rollup]\nRss:    5288 kB\nPss:     990 kB\nAnonymous:  800 kB\n";
        let footprint = Footprint { resident: 5288 * 1024, own: 800 * 1024 };
        assert_eq!(parse_rollup(text), Some(footprint));
        assert_eq!(parse_rollup("Rss: 1 kB\n"), None);
    }

    #[test]
    fn this_process_has_memory() {
        assert!(footprint(std::process::id()).expect("we are alive").resident > 0);
        assert!(memory(std::process::id()).expect("we are alive") > 0);
        assert!(cpu(u32::MAX).is_err());
    }
}
