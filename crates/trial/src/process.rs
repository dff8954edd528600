//! Processes as /proc shows them: their parents, CPU time and memory, and what they hold.
//!
//! A process may end between two looks at it. It is an error for the process that is asked about,
//! and nothing for one among many.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use nix::unistd::{sysconf, SysconfVar};

/// `/proc/PID/stat` of a process, see proc_pid_stat(5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// Its number.
    pub pid: u32,
    /// Its name, at most 15 bytes of it.
    pub name: String,
    /// Its state, such as `R`, `S`, or `Z` for one that has ended and was not waited for.
    pub state: char,
    /// Its parent.
    pub parent: u32,
    /// The CPU time of all its threads so far, in user and kernel mode. Counted in clock ticks,
    /// commonly 10 ms.
    pub own_time: Duration,
    /// The CPU time of its children that it has waited for.
    pub children_time: Duration,
}

impl Stat {
    /// Reads that of the process `pid`.
    ///
    /// # Errors
    /// When it is gone.
    pub fn of(pid: u32) -> io::Result<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        Self::parse(pid, &text).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Fields are counted from after the name, which is in parentheses and may contain anything,
    /// parentheses too.
    fn parse(pid: u32, text: &str) -> Option<Self> {
        let (head, rest) = text.rsplit_once(')')?;
        let (_, name) = head.split_once('(')?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
        Some(Self {
            pid,
            name: name.to_owned(),
            state: fields.first()?.chars().next()?,
            parent: fields.get(1)?.parse().ok()?,
            own_time: ticks(number(11)? + number(12)?),
            children_time: ticks(number(13)? + number(14)?),
        })
    }

    /// Returns whether it has ended, and is only still to be waited for.
    pub fn has_ended(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }
}

/// Every process of this PID namespace.
///
/// # Errors
/// When /proc cannot be read.
pub fn all() -> io::Result<Vec<Stat>> {
    let entries = fs::read_dir("/proc")?.flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    Ok(pids.filter_map(|pid| Stat::of(pid).ok()).collect())
}

/// The children of the process `parent`, those included that have ended and were not waited for.
///
/// From the parents of all processes: `/proc/PID/task/TID/children` is not in every kernel.
///
/// # Errors
/// When /proc cannot be read.
pub fn children(parent: u32) -> io::Result<Vec<Stat>> {
    Ok(all()?.into_iter().filter(|stat| stat.parent == parent).collect())
}

/// The process `root` and all that descend from it.
///
/// # Errors
/// When `root` is gone.
pub fn tree(root: u32) -> io::Result<Vec<Stat>> {
    let all: HashMap<u32, Stat> = all()?.into_iter().map(|stat| (stat.pid, stat)).collect();
    if !all.contains_key(&root) {
        return Err(io::ErrorKind::NotFound.into());
    }
    let belongs = |stat: &Stat| {
        let mut at = stat.pid;
        while at != root {
            match all.get(&at) {
                Some(one) if one.parent != 0 => at = one.parent,
                _ => return false,
            }
        }
        true
    };
    Ok(all.values().filter(|stat| belongs(stat)).cloned().collect())
}

/// The descriptors of the process `pid`, each by what [`kind_of`] calls what it leads to.
///
/// # Errors
/// When the process is gone, or is not ours to look at.
pub fn descriptors(pid: u32) -> io::Result<Vec<String>> {
    let directory = format!("/proc/{pid}/fd");
    let mut kinds = Vec::new();
    for entry in fs::read_dir(&directory)?.flatten() {
        // One that is gone by now was the descriptor of a directory listing, ours maybe.
        let Ok(link) = fs::read_link(entry.path()) else { continue };
        if link != Path::new(&directory) {
            kinds.push(kind_of(&link.to_string_lossy()).to_owned());
        }
    }
    Ok(kinds)
}

/// The resident memory of the process `pid` in bytes. A process that has ended has none.
///
/// # Errors
/// When it is gone.
pub fn resident(pid: u32) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    Ok(kib.map_or(0, |kib| kib * 1024))
}

/// The kind of what a descriptor leads to: `socket:[4711]` is a `socket`, and `/proc/4711` a
/// process, which may end; files and `anon_inode:[eventpoll]` are what they are.
pub fn kind_of(link: &str) -> &str {
    let is_digit = |letter: char| letter.is_ascii_digit();
    match (link.split_once(":["), link.strip_prefix("/proc/")) {
        (Some((kind, number)), _) if number.starts_with(is_digit) => kind,
        (_, Some(rest)) if !rest.trim_end_matches(" (deleted)").contains(|l| !is_digit(l)) => {
            "/proc/PID"
        }
        _ => link,
    }
}

/// The time that `count` of the kernel's accounting ticks are.
pub fn ticks(count: u64) -> Duration {
    let per_second = sysconf(SysconfVar::CLK_TCK).ok().flatten();
    let per_second = per_second.and_then(|n| u64::try_from(n).ok()).filter(|&n| n > 0);
    Duration::from_nanos(count.saturating_mul(1_000_000_000 / per_second.unwrap_or(100)))
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn stat_is_read_past_a_name_with_brackets() {
        let text = "42 (a ) b) S 7 42 42 0 -1 4194560 100 200 0 0 11 12 13 14 20 0 1 0 300 5000000 77 18446744073709551615\n";
        let stat = Stat::parse(42, text).unwrap();
        assert_eq!((stat.name.as_str(), stat.state, stat.parent), ("a ) b", 'S', 7));
        assert_eq!((stat.own_time, stat.children_time), (ticks(23), ticks(27)));
        assert!(!stat.has_ended());
        assert_eq!(Stat::parse(42, "nonsense"), None);
    }

    #[test]
    fn descriptors_have_kinds() {
        assert_eq!(kind_of("socket:[4711]"), "socket");
        assert_eq!(kind_of("anon_inode:[eventpoll]"), "anon_inode:[eventpoll]");
        assert_eq!(kind_of("/proc/4711"), "/proc/PID");
        assert_eq!(kind_of("/proc/4711 (deleted)"), "/proc/PID");
        assert_eq!(kind_of("/proc/4711/stat"), "/proc/4711/stat");
        assert_eq!(kind_of("/dev/null"), "/dev/null");
    }

    #[test]
    fn a_child_is_of_the_tree_until_it_is_waited_for() {
        let own = std::process::id();
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let is_there = |all: Vec<Stat>| all.iter().any(|stat| stat.pid == child.id());
        assert!(is_there(children(own).unwrap()) && is_there(tree(own).unwrap()));
        assert!(tree(own).unwrap().iter().any(|stat| stat.pid == own));
        assert!(resident(own).unwrap() > 100_000);
        assert!(descriptors(child.id()).unwrap().iter().any(|kind| kind == "pipe"));
        child.kill().and_then(|()| child.wait()).unwrap();
        assert!(Stat::of(child.id()).is_err() && tree(u32::MAX).is_err());
    }
}
