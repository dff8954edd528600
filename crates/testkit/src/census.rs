//! A census of a process: its descriptors, children, threads and namespaces.
//!
//! A census is taken before a test does something and compared when it is over: everything must be
//! back where it was. Descriptors are counted by kind (`socket`, `pipe`, `anon_inode:[eventpoll]`,
//! `net` for a namespace, a path for a file), since their numbers and inodes are nobody's business.
//!
//! A test that takes the census of its own process has to be alone in it while it runs: all tests of
//! such a binary begin with [`alone`].

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nsplice_trial::process::{self, Stat};

use crate::namespace;
use crate::wait::{poll_for, wait_for};

/// Time that things may take to get back to where they were.
const SETTLING: Duration = Duration::from_secs(if cfg!(test) { 3 } else { 10 });

/// The time after which what has not changed has come to rest.
const REST: Duration = Duration::from_millis(200);

/// The holdings of a process at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Census {
    pid: u32,
    counts: BTreeMap<String, usize>,
}

impl Census {
    /// Counts what the process `pid` holds.
    ///
    /// # Panics
    /// If there is no such process, or it may not be looked at.
    #[track_caller]
    pub fn of(pid: u32) -> Self {
        let mut census = Self::count(pid);
        let threads = entries(&format!("/proc/{pid}/task"));
        census.add("threads".to_owned(), threads.len());
        census
    }

    /// Counts what the process `pid` holds once that stays the same for a moment: a program that
    /// has printed its first line may still be starting threads, and one that has answered may
    /// still be closing.
    ///
    /// # Panics
    /// As [`Census::of`], and if it does not come to rest within [`crate::PATIENCE`].
    #[track_caller]
    pub fn settled(pid: u32) -> Self {
        at_rest(|| Self::of(pid))
    }

    /// Counts what this process holds, and the namespaces that it has made. Its threads are not
    /// counted: those of the test harness come and go.
    #[track_caller]
    pub fn own() -> Self {
        let mut census = Self::count(std::process::id());
        census.add("named namespaces".to_owned(), namespace::own_names().len());
        census
    }

    /// Counts the descriptors of `kind` there are, such as `socket`, `pipe`, `net`,
    /// `anon_inode:[pidfd]`.
    pub fn descriptors(&self, kind: &str) -> usize {
        self.counts.get(&descriptor(kind)).copied().unwrap_or(0)
    }

    /// Counts the children, those included that have ended and were not waited for.
    pub fn children(&self) -> usize {
        let children = self.counts.iter().filter(|(what, _)| what.starts_with(CHILD));
        children.map(|(_, count)| count).sum()
    }

    /// Waits until the process holds again what this census says, and nothing more.
    ///
    /// # Panics
    /// If it does not within ten seconds; the message lists what there is too much or too little of.
    #[track_caller]
    pub fn assert_restored(&self) {
        self.assert_restored_up_to("pipe", 0);
    }

    /// The same, but up to `spare` more descriptors of `kind` than before may be there: a relay
    /// keeps a few empty pipes for the next link.
    ///
    /// # Panics
    /// As [`Census::assert_restored`].
    #[track_caller]
    pub fn assert_restored_up_to(&self, kind: &str, spare: usize) {
        let own = self.pid == std::process::id();
        let mut now = self.clone();
        let restored = poll_for(SETTLING, || {
            now = if own { Self::own() } else { Self::of(self.pid) };
            let more = now.descriptors(kind).saturating_sub(self.descriptors(kind));
            let mut allowed = self.clone();
            if (1..=spare).contains(&more) {
                allowed.add(descriptor(kind), more);
            }
            (now == allowed).then_some(())
        });
        assert!(
            restored.is_some(),
            "process {} did not get back to where it was:{}",
            self.pid,
            Difference(self, &now)
        );
    }

    #[track_caller]
    fn count(pid: u32) -> Self {
        let mut census = Self { pid, counts: BTreeMap::new() };
        for kind in asked(pid, process::descriptors(pid)) {
            census.add(descriptor(&kind), 1);
        }
        for child in asked(pid, process::children(pid)) {
            let ended = if child.has_ended() { " (ended)" } else { "" };
            census.add(format!("{CHILD}{}{ended}", child.name), 1);
        }
        census
    }

    fn add(&mut self, what: String, count: usize) {
        *self.counts.entry(what).or_default() += count;
    }
}

/// Looks until what it sees has been the same for a while.
#[track_caller]
fn at_rest(mut look: impl FnMut() -> Census) -> Census {
    let (mut census, mut since) = (look(), Instant::now());
    wait_for("a process to come to rest", || {
        let now = look();
        if now != census {
            (census, since) = (now, Instant::now());
        }
        (since.elapsed() >= REST).then(|| census.clone())
    })
}

const CHILD: &str = "child ";

fn descriptor(kind: &str) -> String {
    format!("fd {kind}")
}

/// The words of a census that differ from another one.
struct Difference<'a>(&'a Census, &'a Census);

impl fmt::Display for Difference<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (before, after) = (&self.0.counts, &self.1.counts);
        let all: BTreeMap<_, _> = before.iter().chain(after).collect();
        for what in all.keys() {
            let count = |counts: &BTreeMap<String, usize>| counts.get(*what).copied().unwrap_or(0);
            let (was, is) = (count(before), count(after));
            if was != is {
                write!(f, " {what}: {was} before, {is} now;")?;
            }
        }
        Ok(())
    }
}

/// Waits until no other test that calls this runs, and holds the others back while the guard lives.
pub fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    // A test that failed says nothing about the next one.
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The processor time that a process has used, in user and kernel mode, all threads together. Counted
/// in clock ticks, commonly 10 ms.
///
/// # Panics
/// If there is no such process.
#[track_caller]
pub fn cpu_time(pid: u32) -> Duration {
    asked(pid, Stat::of(pid)).own_time
}

/// The memory of a process that is resident, in bytes.
///
/// # Panics
/// If there is no such process.
#[track_caller]
pub fn resident_memory(pid: u32) -> u64 {
    asked(pid, process::resident(pid))
}

#[track_caller]
fn asked<T>(pid: u32, answer: io::Result<T>) -> T {
    answer.unwrap_or_else(|error| panic!("look at process {pid}: {error}"))
}

#[track_caller]
fn entries(directory: &str) -> Vec<String> {
    let listing =
        fs::read_dir(directory).unwrap_or_else(|error| panic!("read {directory}: {error}"));
    listing.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::panic::catch_unwind;
    use std::process::{Child, Command, Stdio};

    use crate::wait::wait_until;

    /// A child that nothing else in this test binary touches.
    fn shell(script: &str) -> Child {
        let mut shell = Command::new("sh");
        shell.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
        shell.spawn().unwrap()
    }

    #[test]
    fn descriptors_are_counted_by_kind() {
        let before = Census::own().descriptors("socket");
        let listeners: Vec<_> = (0..50).map(|_| TcpListener::bind("127.0.0.1:0")).collect();
        // Other tests run beside this one, with a few sockets each.
        assert!(Census::own().descriptors("socket") + 25 > before + listeners.len());
    }

    #[test]
    fn a_child_and_its_end_show() {
        let mut shell = shell(
            "exec 9</etc/passwd; sleep 1000 & read line; kill $!; read line; wait; read line",
        );
        wait_until("the child of the shell", || Census::of(shell.id()).children() == 1);
        let census = Census::of(shell.id());
        assert_eq!(census.descriptors("/etc/passwd"), 1);
        assert!(census.descriptors("pipe") >= 2);
        assert_eq!(census.counts["threads"], 1);
        let mut other = census.clone();
        other.add("child beggar".to_owned(), 2);
        let told = Difference(&census, &other).to_string();
        assert_eq!(told, " child beggar: 0 before, 2 now;");
        io::Write::write_all(shell.stdin.as_mut().unwrap(), b"\n").unwrap();
        wait_until("the ended child", || {
            Census::of(shell.id()).counts.keys().any(|what| what == "child sleep (ended)")
        });
        shell.kill().unwrap();
        shell.wait().unwrap();
    }

    #[test]
    fn restored_means_the_same_again() {
        let mut shell = shell("read line; sleep 0.1 & wait; read line");
        let before = Census::settled(shell.id());
        io::Write::write_all(shell.stdin.as_mut().unwrap(), b"\n").unwrap();
        before.assert_restored();
        shell.kill().unwrap();
        shell.wait().unwrap();
    }

    #[test]
    fn a_settled_census_is_not_one_on_the_way() {
        let mut looks = 0;
        let settled = at_rest(|| {
            looks += 1;
            let mut census = Census { pid: 0, counts: BTreeMap::new() };
            census.add("threads".to_owned(), looks.min(9));
            census
        });
        assert_eq!(settled.counts["threads"], 9);
        assert!(looks > 9);
    }

    #[test]
    fn spare_descriptors_are_allowed_by_kind_and_number() {
        let mut shell = shell("read line; exec 8</etc/passwd 9</etc/passwd; read line");
        let before = Census::settled(shell.id());
        io::Write::write_all(shell.stdin.as_mut().unwrap(), b"\n").unwrap();
        wait_until("two files", || Census::of(shell.id()).descriptors("/etc/passwd") == 2);
        before.assert_restored_up_to("/etc/passwd", 2);
        for (kind, spare) in [("/etc/passwd", 1), ("pipe", 2)] {
            assert!(catch_unwind(|| before.assert_restored_up_to(kind, spare)).is_err());
        }
        shell.kill().unwrap();
        shell.wait().unwrap();
    }

    #[test]
    fn a_spinning_process_uses_time_and_memory() {
        let mut shell = shell("while :; do :; done");
        let start = Instant::now();
        wait_until("50 ms of processor time", || cpu_time(shell.id()) >= Duration::from_millis(50));
        assert!(cpu_time(shell.id()) <= start.elapsed() + Duration::from_millis(50));
        assert!(resident_memory(shell.id()) > 100_000);
        shell.kill().unwrap();
        shell.wait().unwrap();
    }
}
