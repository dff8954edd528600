//! The processes that have sockets open: by the inode of the socket, as the links in `/proc/PID/fd` show
//! it (`socket:[INODE]`, proc_pid_fd(5)).
//!
//! Only processes of namespaces in which there is something to be found are looked at, and no more of
//! their descriptors than [`MOST_OF_ONE`]: a listening socket is opened early, so its number is low. Of
//! several processes that share a socket the one with the least number stands for all: most often the
//! one that made it. Other users' descriptors are for root alone.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{open, readlinkat, OFlag};
use nix::sys::stat::Mode;

use crate::cgroup::membership;
use crate::directory::Directory;
use crate::hold::{text_below, MOST_CGROUP};
use crate::identity::Identity;

/// A process that has a socket open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Its number.
    pub pid: u32,
    /// What it calls itself: 15 bytes at most, of any kind.
    pub name: String,
    /// The ID of the container that it is in.
    pub container: Option<String>,
}

/// The owners that were found, by the inodes of their sockets.
#[derive(Debug, Default)]
pub struct Owners {
    /// Those that were found.
    pub found: HashMap<u32, Owner>,
    /// What kept others from being found.
    pub obstacle: Option<Obstacle>,
    /// The IDs of containers that have processes which we may not look at.
    pub hidden: HashSet<String>,
}

/// What keeps owners from being found, the gravest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Obstacle {
    /// There was more to look at than [`MOST`] descriptors.
    TooMany,
    /// There are processes that we may not look at.
    Denied,
}

/// Inodes of sockets that are looked for, by their namespaces.
pub type Sought = HashMap<Identity, HashSet<u32>>;

/// Looks for the owners of what is `sought` among the processes of the node of `directory`; in each
/// namespace among those of the containers that `is_asked` says, `None` for what is in none.
pub fn owners(
    directory: &Directory,
    mut sought: Sought,
    is_asked: impl Fn(Identity, Option<&str>) -> bool,
) -> Owners {
    let mut owners = Owners::default();
    sought.retain(|_, inodes| !inodes.is_empty());
    let proc = directory.root().proc().path();
    let mut left = MOST;
    for pid in numbers_in(proc, usize::MAX).unwrap_or_default() {
        if sought.is_empty() {
            break;
        }
        // A process that has ended meanwhile has nothing open.
        let path = proc.join(pid.to_string());
        let Ok(process) = opened(&path) else { continue };
        let container = || membership(&text_of(process.as_fd(), "cgroup", MOST_CGROUP)).container;
        let identity = match Identity::below(&process, Path::new("ns/net")) {
            Ok(identity) => identity,
            Err(error) => {
                owners.meet(&error, container());
                continue;
            }
        };
        let Some(inodes) = sought.get_mut(&identity) else { continue };
        let container = container();
        if !is_asked(identity, container.as_deref()) {
            continue;
        }
        let path = path.join("fd");
        let (numbers, descriptors) = match (numbers_in(&path, MOST_OF_ONE), opened(&path)) {
            (Ok(numbers), Ok(descriptors)) => (numbers, descriptors),
            (Err(error), _) => {
                owners.meet(&error, container);
                continue;
            }
            (Ok(_), Err(_)) => continue,
        };
        for number in numbers {
            let Some(fewer) = left.checked_sub(1) else {
                owners.obstacle = owners.obstacle.max(Some(Obstacle::TooMany));
                return owners;
            };
            left = fewer;
            let Ok(link) = readlinkat(&descriptors, number.to_string().as_str()) else { continue };
            let Some(inode) = link.to_str().and_then(inode_of) else { continue };
            if inodes.remove(&inode) {
                let name = text_of(process.as_fd(), "comm", MOST_NAME);
                let name = name.strip_suffix('\n').unwrap_or(&name).to_owned();
                owners.found.insert(inode, Owner { pid, name, container: container.clone() });
                if inodes.is_empty() {
                    break;
                }
            }
        }
        if inodes.is_empty() {
            sought.remove(&identity);
        }
    }
    owners
}

impl Owners {
    /// Takes down what kept a process of `container` from being looked at; one that has ended is no
    /// obstacle.
    fn meet(&mut self, error: &io::Error, container: Option<String>) {
        if error.kind() == ErrorKind::PermissionDenied {
            self.obstacle = Some(Obstacle::Denied);
            self.hidden.extend(container);
        }
    }
}

/// The inode in the text of a link to a socket.
fn inode_of(link: &str) -> Option<u32> {
    link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// The numbers among the names in a directory of /proc, the least first, of `most` names at most.
fn numbers_in(path: &Path, most: usize) -> io::Result<Vec<u32>> {
    let names = fs::read_dir(path)?.take(most).flatten();
    let numbers = names.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut numbers: Vec<u32> = numbers.collect();
    numbers.sort_unstable();
    Ok(numbers)
}

fn opened(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    open(path, flags, Mode::empty())
}

/// The text of a file of /proc; empty where it cannot be read.
fn text_of(process: BorrowedFd<'_>, name: &str, most: usize) -> String {
    let bytes = text_below(process, name, most).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Descriptors that are looked at of one process.
pub const MOST_OF_ONE: usize = 10_000;

/// Descriptors that are looked at in all: a second's work.
pub const MOST: usize = 500_000;

/// TASK_COMM_LEN is 16; kernel threads have more.
const MOST_NAME: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::Root;
    use std::net::TcpListener;
    use std::os::unix::fs::symlink;

    use nix::sys::stat::fstat;

    fn our_namespace() -> Identity {
        Identity::of_path(Path::new("/proc/self/ns/net")).unwrap()
    }

    #[test]
    fn our_own_listener_is_ours() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let inode = u32::try_from(fstat(&listener).unwrap().st_ino).unwrap();
        let directory = Directory::of(Root::own().unwrap(), None);
        let sought = || Sought::from([(our_namespace(), HashSet::from([inode, u32::MAX]))]);
        let found = owners(&directory, sought(), |_, _| true).found;
        assert_eq!(found.len(), 1, "{found:?}");
        let name = fs::read_to_string("/proc/self/comm").unwrap();
        let owner = &found[&inode];
        assert_eq!((owner.pid, owner.name.as_str()), (std::process::id(), name.trim_end()));
        let nobody = owners(&directory, sought(), |identity, _| identity != our_namespace());
        assert_eq!(nobody.found, HashMap::new());
        assert_eq!(owners(&directory, Sought::new(), |_, _| true).found, HashMap::new());
    }

    #[test]
    fn whatever_is_in_a_proc_of_files_is_survived_and_told() {
        let node = tempfile::tempdir().unwrap();
        let process = |pid: &str, name: &[u8], links: &[&str]| {
            let path = node.path().join("proc").join(pid);
            fs::create_dir_all(path.join("fd")).unwrap();
            fs::create_dir_all(path.join("ns")).unwrap();
            symlink("/proc/self/ns/net", path.join("ns/net")).unwrap();
            fs::write(path.join("comm"), name).unwrap();
            for (number, link) in links.iter().enumerate() {
                symlink(link, path.join("fd").join(number.to_string())).unwrap();
            }
        };
        process("7", b"\x1b[2J\xff\n\n", &["socket:[x]", "socket:[5", "/dev/null", "socket:[11]"]);
        process("9", b"second\n", &["socket:[11]", "socket:[12]"]);
        process("12", &[b'x'; 5000], &["socket:[13]"]);
        process("seven", b"none\n", &["socket:[14]"]);
        let root = Root::at(node.path()).unwrap();
        let directory = Directory::of(root, None);
        let sought = Sought::from([(our_namespace(), HashSet::from([11, 12, 13, 14]))]);
        let found = owners(&directory, sought, |_, _| true).found;
        let told = |inode: u32| found.get(&inode).map(|owner| (owner.pid, owner.name.as_str()));
        assert_eq!(told(11), Some((7, "\u{1b}[2J\u{fffd}\n")), "the first one stands for both");
        assert_eq!(told(12), Some((9, "second")));
        assert_eq!(told(13), Some((12, "")));
        assert_eq!(told(14), None);
    }
}
