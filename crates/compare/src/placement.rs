//! The placement of load and relays on CPUs.
//!
//! Left to itself the scheduler sometimes puts load and relay on one CPU, where waking each other
//! is free, and sometimes not; the same relay then costs half or double, which no number of rounds
//! averages out. So the load has one CPU and the relays another: of one package, since reaching
//! across packages is dear, and not two threads of one core, which would slow each other down.
//!
//! All of it is put back at the end, for programs of other people as well.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use nix::sched::{sched_getaffinity, sched_setaffinity, CpuSet};
use nix::unistd::Pid;

/// The two CPUs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Placement {
    load: usize,
    relays: usize,
}

impl Placement {
    /// Chooses among the CPUs that this thread may use; `None` if that is one only, or cannot be
    /// told.
    pub(crate) fn choose() -> Option<Self> {
        pick(&allowed(), |cpu, file| {
            fs::read_to_string(format!("/sys/devices/system/cpu/cpu{cpu}/topology/{file}")).ok()
        })
    }

    /// Returns what a report says of it.
    pub(crate) fn words(placement: Option<Self>) -> String {
        match placement {
            Some(Self { load, relays }) => format!("load on CPU {load}, relays on CPU {relays}"),
            None => "as the scheduler likes".to_owned(),
        }
    }

    /// Moves this thread to the load's CPU, and the threads of `relays` to theirs, as far as that
    /// is allowed.
    pub(crate) fn apply(self, relays: impl IntoIterator<Item = u32>) -> Pinned {
        let pinned = Pinned::new();
        pinned.pin(Pid::from_raw(0), self.load);
        for pid in relays {
            let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { continue };
            let tasks = tasks.flatten().filter_map(|task| task.file_name().to_str()?.parse().ok());
            tasks.for_each(|task| pinned.pin(Pid::from_raw(task), self.relays));
        }
        pinned
    }
}

/// A thread that was moved.
#[derive(Debug, Clone, Copy)]
struct Moved {
    /// For which [`Pinned`].
    by: u64,
    thread: Pid,
    before: CpuSet,
}

/// All that are not back yet.
static MOVED: Mutex<Vec<Moved>> = Mutex::new(Vec::new());

/// Threads that are where they were put for as long as this lives.
#[derive(Debug)]
pub(crate) struct Pinned {
    number: u64,
}

impl Pinned {
    fn new() -> Self {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        Self { number: COUNTER.fetch_add(1, Ordering::Relaxed) }
    }

    fn pin(&self, thread: Pid, cpu: usize) {
        let mut set = CpuSet::new();
        let Ok(before) = sched_getaffinity(thread) else { return };
        let mut moved = MOVED.lock().unwrap_or_else(PoisonError::into_inner);
        if set.set(cpu).and_then(|()| sched_setaffinity(thread, &set)).is_ok() {
            moved.push(Moved { by: self.number, thread, before });
        }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        put_back(|moved| moved.by == self.number);
    }
}

/// Puts back all threads of others that are still where they were put: for a program that is about
/// to exit without dropping anything.
pub(crate) fn end_all() {
    put_back(|moved| moved.thread != Pid::from_raw(0));
}

fn put_back(is_meant: impl Fn(&Moved) -> bool) {
    let mut moved = MOVED.lock().unwrap_or_else(PoisonError::into_inner);
    for one in moved.iter().filter(|one| is_meant(one)) {
        // It may have ended.
        let _ = sched_setaffinity(one.thread, &one.before);
    }
    moved.retain(|one| !is_meant(one));
}

/// The CPUs that this thread may use.
pub(crate) fn allowed() -> Vec<usize> {
    let Ok(set) = sched_getaffinity(Pid::from_raw(0)) else { return Vec::new() };
    (0..CpuSet::count()).filter(|&cpu| set.is_set(cpu).unwrap_or(false)).collect()
}

/// The first CPU, and the first other one that is of its package but not of its core, or simply
/// another.
fn pick(cpus: &[usize], topology: impl Fn(usize, &str) -> Option<String>) -> Option<Placement> {
    let (&load, others) = cpus.split_first()?;
    let same = |cpu: usize, file: &str| {
        let ours = topology(load, file);
        ours.is_some() && ours == topology(cpu, file)
    };
    let neighbour = others
        .iter()
        .find(|&&cpu| same(cpu, "physical_package_id") && !same(cpu, "thread_siblings_list"));
    let &relays = neighbour.or_else(|| others.first())?;
    Some(Placement { load, relays })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn neighbours_are_preferred_to_siblings_and_strangers() {
        // Two packages of two cores of two threads, siblings next to each other.
        let topology = |cpu: usize, file: &str| {
            Some(if file == "physical_package_id" { cpu / 4 } else { cpu / 2 }.to_string())
        };
        let picked = |cpus: &[usize]| pick(cpus, topology).map(|p| (p.load, p.relays));
        assert_eq!(picked(&[0, 1, 2, 3, 4]), Some((0, 2)));
        assert_eq!(picked(&[1, 4, 5]), Some((1, 4)));
        assert_eq!(picked(&[0, 1]), Some((0, 1)));
        assert_eq!(picked(&[3]), None);
        assert_eq!(pick(&[0, 1], |_, _| None).map(|p| p.relays), Some(1));
    }

    #[test]
    fn who_was_moved_is_moved_back() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
        let cpu = allowed()[0];
        let before = (sched_getaffinity(pid).unwrap(), allowed());
        let pinned = Placement { load: cpu, relays: cpu }.apply([child.id()]);
        let mut one = CpuSet::new();
        one.set(cpu).unwrap();
        assert_eq!((sched_getaffinity(pid).unwrap(), allowed()), (one, vec![cpu]));
        drop(pinned);
        assert_eq!((sched_getaffinity(pid).unwrap(), allowed()), before);
        std::mem::forget(Placement { load: cpu, relays: cpu }.apply([child.id()]));
        assert_eq!(sched_getaffinity(pid).unwrap(), one);
        end_all();
        assert_eq!(sched_getaffinity(pid).unwrap(), before.0);
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}
