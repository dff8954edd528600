//! A control group for one subject, so that whatever belongs to it is counted: threads, children
//! that come and go, and the kernel's memory behind its sockets and pipes.
//!
//! A group is one directory where version 2 counts memory, else one for CPU and one for memory of
//! version 1, else one of version 2 that counts CPU only. They are made at the root of the
//! hierarchy, since a group that itself holds processes (ours, mostly) may not hand out
//! controllers.
//!
//! A group goes when its value does, and with it every process that is in it by then: what a relay
//! has left behind is ended, and nothing else. Only a kill(1) -9 or -HUP of this program leaves
//! directories; their names carry its process id, and the next one sweeps those away that are
//! empty.
//!
//! Where no group can be made, the meter asks /proc for the process and its descendants instead,
//! and each measurement says so.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use nsplice_trial::poll_for;

use crate::load::failure::Failure;
use crate::load::meter::Meter;

/// Control group directories that go with this value.
#[derive(Debug)]
pub(crate) struct Group {
    directories: Vec<PathBuf>,
}

/// The reason why no control group can be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoGroup {
    /// No hierarchy counts CPU.
    #[error(
        "no control group hierarchy that counts CPU time is mounted; CPU and memory are counted from /proc, without the \
         kernel's share"
    )]
    NoHierarchy,
    /// The directory was refused.
    #[error(
        "no control group can be made at {path}: {source}; CPU and memory are counted from /proc, without the kernel's \
         share (root on the machine would help)"
    )]
    Refused {
        /// The directory that was to be made.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

impl Group {
    /// Makes an empty group for the subject `name`.
    ///
    /// # Errors
    /// When there are no control groups, or none that we may make.
    pub(crate) fn make(name: &str) -> Result<Self, NoGroup> {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let parents = hierarchies_here();
        if parents.is_empty() {
            return Err(NoGroup::NoHierarchy);
        }
        let count = COUNTER.fetch_add(1, Ordering::Relaxed);
        let own = format!("{PREFIX}{}-{count}-{}", std::process::id(), file_name(name));
        let mut group = Self { directories: Vec::new() };
        for parent in parents {
            sweep(&parent);
            // On version 2 children get a controller only where their parent hands it out; usually
            // that is done already, and where it cannot be, CPU time is counted all the same.
            let control = parent.join("cgroup.subtree_control");
            if control.exists() {
                let _ = fs::write(control, "+cpu +memory");
            }
            let path = parent.join(&own);
            fs::create_dir(&path)
                .map_err(|source| NoGroup::Refused { path: path.clone(), source })?;
            group.directories.push(path);
        }
        Ok(group)
    }

    /// Its directories, as a [`Meter`] takes them.
    pub(crate) fn directories(&self) -> &[PathBuf] {
        &self.directories
    }

    /// The processes inside.
    pub(crate) fn members(&self) -> Vec<u32> {
        let mut members = Vec::new();
        for directory in &self.directories {
            let text = fs::read_to_string(directory.join(MEMBERS)).unwrap_or_default();
            members.extend(text.lines().filter_map(|line| line.parse::<u32>().ok()));
        }
        // 0 stands for a process that this PID namespace does not know.
        members.retain(|&pid| pid != 0);
        members.sort_unstable();
        members.dedup();
        members
    }

    /// Ends the processes inside and waits until they are gone, for a moment.
    fn clear(&self) {
        poll_for(PATIENCE, || {
            let members = self.members();
            for pid in members.iter().filter_map(|pid| i32::try_from(*pid).ok()) {
                // It may have ended since it was listed.
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
            members.is_empty().then_some(())
        });
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.clear();
        for directory in &self.directories {
            // The last process leaves a moment after it can no longer be seen.
            poll_for(PATIENCE, || match fs::remove_dir(directory) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => None,
                _ => Some(()),
            });
        }
    }
}

/// Puts the process `pid` into the group of `directory`, with all its threads; children that it has
/// later are born inside.
///
/// # Errors
/// When the process is gone, or is not ours to move.
pub(crate) fn join(directory: &Path, pid: u32) -> io::Result<()> {
    fs::write(directory.join(MEMBERS), pid.to_string())
}

/// Ends all groups of this process, with what is in them: for a program that is about to exit
/// without dropping anything.
pub(crate) fn end_all() {
    let ours = format!("{PREFIX}{}-", std::process::id());
    let is_ours = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with(&ours);
    let entries = hierarchies_here().into_iter().filter_map(|parent| fs::read_dir(parent).ok());
    let directories = entries.flat_map(|entries| entries.flatten().filter(is_ours));
    drop(Group { directories: directories.map(|entry| entry.path()).collect() });
}

/// The meter of a relay: its groups if it has any, else its process and all descendants of that,
/// else nothing. Of version 1 one directory is enough: the one of the same name in the other
/// hierarchy is found.
///
/// # Errors
/// When the groups do not count, or the process is gone.
pub(crate) fn meter(groups: &[PathBuf], pid: Option<u32>) -> Result<Meter, Failure> {
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let mut all = groups.to_vec();
    all.extend(
        groups.iter().filter_map(|group| companion(&mounts, group)).filter(|it| it.is_dir()),
    );
    Meter::open(&all, pid)
}

/// The place of `group`, of CPU or memory in version 1, in the hierarchy of the other.
fn companion(mounts: &str, group: &Path) -> Option<PathBuf> {
    let [cpu, memory] = hierarchies(mounts).1;
    let (cpu, memory) = (cpu?, memory?);
    let name = |own: &Path, other: &Path| Some(other.join(group.strip_prefix(own).ok()?));
    name(&cpu, &memory).or_else(|| name(&memory, &cpu)).filter(|found| found != group)
}

/// The directories in which groups are made on this machine: one, or one for CPU and one for
/// memory.
pub fn hierarchies_here() -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    parents(&mounts, |root| fs::read_to_string(root.join("cgroup.controllers")).unwrap_or_default())
}

/// The places where groups are made, by the text of /proc/mounts and the controllers of a version 2 hierarchy.
fn parents(mounts: &str, controllers: impl Fn(&Path) -> String) -> Vec<PathBuf> {
    let (unified, [cpu, memory]) = hierarchies(mounts);
    let counts_memory =
        |root: &PathBuf| controllers(root).split_whitespace().any(|c| c == "memory");
    match (unified, cpu) {
        (Some(root), _) if counts_memory(&root) => vec![root],
        (_, Some(cpu)) => {
            let mut both = vec![cpu];
            // Both controllers may be mounted at one place.
            both.extend(memory.filter(|memory| *memory != both[0]));
            both
        }
        (root, None) => root.into_iter().collect(),
    }
}

/// The mount points of version 2, and of CPU and memory of version 1.
fn hierarchies(mounts: &str) -> (Option<PathBuf>, [Option<PathBuf>; 2]) {
    let mut unified = None;
    let mut legacy = [None, None];
    for line in mounts.lines() {
        let mut fields = line.split(' ').skip(1);
        let (Some(path), Some(kind), Some(options)) = (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let has = |name: &str| options.split(',').any(|option| option == name);
        match kind {
            "cgroup2" => unified = unified.or_else(|| Some(PathBuf::from(path))),
            "cgroup" => {
                for (slot, controller) in legacy.iter_mut().zip(["cpuacct", "memory"]) {
                    if slot.is_none() && has(controller) {
                        *slot = Some(PathBuf::from(path));
                    }
                }
            }
            _ => {}
        }
    }
    (unified, legacy)
}

/// Removes the empty groups of programs that no longer live.
fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let maker = name
            .to_str()
            .and_then(|name| name.strip_prefix(PREFIX)?.split('-').next()?.parse::<u32>().ok());
        if maker.is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists()) {
            // Refused where processes are inside: they are somebody's.
            let _ = fs::remove_dir(entry.path());
        }
    }
}

/// `name` with nothing in it that a directory's name may not have.
fn file_name(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

const PREFIX: &str = "nsplice-compare-";

/// The file that lists the processes of a group, in either version.
const MEMBERS: &str = "cgroup.procs";

/// The time that killed processes may take to be gone.
const PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;
    use nsplice_testkit::{skip, wait_until};
    use std::process::{Command, Stdio};

    const V1: &str = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\n\
                      cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0\n\
                      cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n";
    const HYBRID: &str = "cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";

    #[test]
    fn the_hierarchy_that_counts_memory_is_taken() {
        let paths = |mounts: &str, controllers: &'static str| {
            parents(mounts, |_| controllers.to_owned())
                .iter()
                .map(|path| path.display().to_string())
                .collect::<Vec<_>>()
        };
        let v1 = ["/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup/memory"];
        assert_eq!(paths(V1, ""), v1);
        assert_eq!(paths(&format!("{HYBRID}{V1}"), "hugetlb"), v1);
        assert_eq!(paths(&format!("{V1}{HYBRID}"), "cpu memory"), ["/sys/fs/cgroup/unified"]);
        assert_eq!(paths(HYBRID, ""), ["/sys/fs/cgroup/unified"]);
        assert_eq!(paths("cgroup /cg cgroup rw,cpuacct,memory 0 0\n", ""), ["/cg"]);
        assert_eq!(paths("proc /proc proc rw 0 0\n", ""), Vec::<String>::new());
    }

    #[test]
    fn a_group_counts_children_and_ends_them() {
        let group = match Group::make("a relay/1") {
            Ok(group) => group,
            Err(why) => skip!("a_group_counts_children_and_ends_them", "{why}"),
        };
        // The children are born when the word comes, by which time their parent is inside.
        let script = "read word; (while :; do :; done) & (exec sleep 1000) & wait";
        let mut command = Command::new("sh");
        let mut shell = command.args(["-c", script]).stdin(Stdio::piped()).spawn().unwrap();
        group.directories().iter().for_each(|directory| join(directory, shell.id()).unwrap());
        drop(shell.stdin.take());
        wait_until("two children", || group.members().len() == 3);
        let meter = meter(&group.directories()[..1], None).unwrap();
        assert!(meter.name().starts_with("cgroup"), "{}", meter.name());
        let spent = || meter.cpu().unwrap().unwrap();
        wait_until("CPU time of a child", || spent() > Duration::from_millis(20));
        assert!(meter.memory().unwrap().is_some() || group.directories().len() == 1);
        assert_eq!(meter.holdings().unwrap().map(|held| held.processes), Some(3));

        let directories = group.directories().to_vec();
        assert!(directories.iter().all(|directory| directory.exists()));
        drop(group);
        assert!(directories.iter().all(|directory| !directory.exists()));
        assert!(!shell.wait().unwrap().success());
    }

    #[test]
    fn groups_of_the_dead_are_swept() {
        let group = match Group::make("living") {
            Ok(group) => group,
            Err(why) => skip!("groups_of_the_dead_are_swept", "{why}"),
        };
        let mut dead = Command::new("true").spawn().unwrap();
        dead.wait().unwrap();
        let parent = group.directories()[0].parent().unwrap();
        let left = parent.join(format!("{PREFIX}{}-0-left", dead.id()));
        fs::create_dir(&left).unwrap();
        sweep(parent);
        assert!(!left.exists());
        assert!(group.directories()[0].exists());
    }
}
