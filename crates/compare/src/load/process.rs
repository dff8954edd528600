//! CPU and memory of a process and its children, where there is no control group to ask.
//!
//! Weaker than a group in two ways, so it is the fall-back: `/proc/PID/stat` counts in ticks of 10
//! ms, and a child that came and went is only in its parent's "children" times. Kernel memory is
//! not in it at all.
//!
//! A [`Footprint`] is another thing: the exact memory of one process, for comparing programs of
//! which one connection takes one.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::ops::AddAssign;
use std::time::Duration;

use nix::unistd::{sysconf, SysconfVar};

use super::failure::Failure;

/// What `/proc/PID/stat` says of one process, in the units it uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    pid: u32,
    parent: u32,
    /// User and system time, own and of waited-for children, in ticks.
    ticks: u64,
    /// Resident pages.
    pages: u64,
}

/// CPU time of `pid` and its descendants so far.
///
/// # Errors
/// When the process is gone.
pub fn cpu(pid: u32) -> Result<Duration, Failure> {
    Ok(ticks(family(pid)?.iter().map(|s| s.ticks).sum()))
}

/// The time that `count` of the kernel's accounting ticks are.
pub fn ticks(count: u64) -> Duration {
    let per_second = system_number(SysconfVar::CLK_TCK).unwrap_or(100);
    Duration::from_nanos(count.saturating_mul(1_000_000_000 / per_second))
}

/// Resident memory of `pid` and its descendants, in bytes.
///
/// # Errors
/// When the process is gone.
pub fn memory(pid: u32) -> Result<u64, Failure> {
    let page = system_number(SysconfVar::PAGE_SIZE).unwrap_or(4096);
    Ok(family(pid)?.iter().map(|s| s.pages * page).sum())
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
pub fn holdings(pids: &[u32]) -> Option<Holdings> {
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
pub fn tree(pid: u32) -> Result<Vec<u32>, Failure> {
    Ok(family(pid)?.iter().map(|s| s.pid).collect())
}

/// The memory of one process.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Footprint {
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
pub fn footprint(pid: u32) -> Result<Footprint, Failure> {
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

fn system_number(variable: SysconfVar) -> Option<u64> {
    sysconf(variable).ok().flatten().and_then(|n| u64::try_from(n).ok()).filter(|&n| n > 0)
}

/// `root` and everything under it.
fn family(root: u32) -> Result<Vec<Stat>, Failure> {
    let entries = fs::read_dir("/proc").map_err(|error| Failure::system("read /proc", error))?;
    let mut all = HashMap::new();
    for entry in entries.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // A process may end between the listing and the reading; then it is simply not there.
        if let Some(stat) =
            fs::read_to_string(entry.path().join("stat")).ok().and_then(|text| parse(pid, &text))
        {
            all.insert(pid, stat);
        }
    }
    if !all.contains_key(&root) {
        return Err(Failure::Relay(format!("process {root} is gone")));
    }
    let belongs = |stat: &Stat| {
        let mut at = stat.pid;
        while at != root {
            match all.get(&at) {
                Some(s) if s.parent != 0 => at = s.parent,
                _ => return false,
            }
        }
        true
    };
    Ok(all.values().filter(|s| belongs(s)).copied().collect())
}

/// Fields are counted from after the name, which may itself hold spaces and brackets.
fn parse(pid: u32, text: &str) -> Option<Stat> {
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some(Stat {
        pid,
        parent: fields.get(1)?.parse().ok()?,
        ticks: number(11)? + number(12)? + number(13)? + number(14)?,
        pages: number(21)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_is_read_past_a_name_with_brackets() {
        let text = "42 (a ) b) S 7 42 42 0 -1 4194560 100 200 0 0 11 12 13 14 20 0 1 0 300 5000000 77 18446744073709551615\n";
        assert_eq!(parse(42, text), Some(Stat { pid: 42, parent: 7, ticks: 50, pages: 77 }));
        assert_eq!(parse(42, "nonsense"), None);
    }

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
