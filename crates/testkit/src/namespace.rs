//! Network namespaces that stand in for containers.
//!
//! A [`Namespace`] has a name under the run directory `netns`, loopback that is up, and a holder: a
//! process inside it, as a container has. Either keeps the namespace alive: `netns/NAME` and
//! `pid/HOLDER` are both ways to it until they are taken away.
//!
//! A namespace belongs to a thread, so [`Namespace::inside`] takes a new thread in and lets it end
//! there. Sockets that it makes and programs that it starts stay inside; nobody has to find a way
//! back.
//!
//! Names carry the process id of their test, so that what a killed test has left is swept by the
//! next one. The holder reads from a pipe that only the test writes to: it ends when the test does,
//! however that ends.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Once;
use std::thread;

use nix::sched::{setns, CloneFlags};

use crate::skip;

/// The directory in which `ip netns` keeps the names.
pub const RUN_DIRECTORY: &str = "/run/netns";

/// The directory in which `ip netns` looks for the files of a name.
pub const NETNS_FILES: &str = "/etc/netns";

const PREFIX: &str = "nsplice-";

/// A network namespace with a name and a process inside.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    named: bool,
    holder: Option<Child>,
}

impl Namespace {
    /// A new namespace for the test `test`, or `None` and a line that says why not.
    ///
    /// # Panics
    /// If namespaces are allowed and this one cannot be made all the same.
    #[track_caller]
    pub fn for_test(test: &str) -> Option<Self> {
        if !skip::require_root_or_userns(test) {
            return None;
        }
        skip::require_tool(test, "ip")?;
        match Self::new() {
            Ok(namespace) => Some(namespace),
            Err(error) if forbidden(&error) => {
                let help = "root on the machine, or --privileged in a container, would help";
                skip::skipped(test, format_args!("cannot make a namespace: {error}; {help}"));
                None
            }
            Err(error) => panic!("cannot make a namespace: {error}"),
        }
    }

    /// A new namespace. Needs root, or a user namespace with a run directory of its own.
    pub fn new() -> io::Result<Self> {
        static SWEPT: Once = Once::new();
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        SWEPT.call_once(sweep);
        let count = COUNTER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{count}", process::id());
        let mut namespace = Self { name, named: false, holder: None };
        namespace.set_up()?;
        Ok(namespace)
    }

    /// Its name, as in `netns/NAME`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file that is its name, `/run/netns/NAME`.
    pub fn path(&self) -> PathBuf {
        Path::new(RUN_DIRECTORY).join(&self.name)
    }

    /// The process id of the holder.
    ///
    /// # Panics
    /// If it was killed.
    #[track_caller]
    pub fn pid(&self) -> u32 {
        self.holder.as_ref().expect("the holder was killed").id()
    }

    /// The identity of this namespace among all alive: device and inode of its file.
    ///
    /// # Panics
    /// If its name was removed.
    #[track_caller]
    pub fn identity(&self) -> (u64, u64) {
        let file = fs::metadata(self.path()).expect("a namespace has a file");
        (file.dev(), file.ino())
    }

    /// Runs `work` on a new thread inside the namespace and returns what it returns.
    ///
    /// # Panics
    /// If the namespace cannot be entered, or if `work` panics.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let path = self.path();
        let entered = move || {
            let file = File::open(&path)
                .unwrap_or_else(|error| panic!("open {}: {error}", path.display()));
            setns(file, CloneFlags::CLONE_NEWNET).expect("setns");
            work()
        };
        thread::scope(|scope| scope.spawn(entered).join())
            .unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// Makes `name` the congestion control that TCP sockets have there from now on.
    ///
    /// # Errors
    /// ENOENT where the kernel has none of that name, EPERM where only the machine's own namespace
    /// may choose it.
    pub fn set_congestion_control(&self, name: &str) -> io::Result<()> {
        self.inside(|| fs::write("/proc/sys/net/ipv4/tcp_congestion_control", name))
    }

    /// Sets the sizes of the queues that TCP sockets made inside get, where nobody sets them: the least,
    /// the first, the most, in bytes, of the receive queue and of the send queue (tcp_rmem and tcp_wmem
    /// of tcp(7)).
    ///
    /// # Errors
    /// When that is not for us to do.
    pub fn set_queue_sizes(&self, sizes: [usize; 3]) -> io::Result<()> {
        let text = sizes.map(|size| size.to_string()).join(" ");
        self.inside(|| {
            fs::write("/proc/sys/net/ipv4/tcp_rmem", &text)?;
            fs::write("/proc/sys/net/ipv4/tcp_wmem", &text)
        })
    }

    /// Runs a program inside to its end and returns its standard output.
    ///
    /// # Panics
    /// If it cannot be started or fails; the message has its standard error.
    #[track_caller]
    pub fn run<A: AsRef<OsStr>>(&self, program: &str, args: impl IntoIterator<Item = A>) -> String {
        let mut command = Command::new(program);
        command.args(args);
        run(self.inside(|| command.output()), program).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Starts a program inside.
    pub fn spawn(&self, command: &mut Command) -> io::Result<Child> {
        self.inside(|| command.spawn())
    }

    /// Kills the process inside, as when a container dies. The name stays.
    pub fn kill_holder(&mut self) {
        if let Some(mut holder) = self.holder.take() {
            // Neither fails on a child that is not yet waited for.
            let _ = holder.kill();
            let _ = holder.wait();
        }
    }

    /// Removes the name. The namespace lives on while a process or a descriptor is in it.
    pub fn remove_name(&mut self) {
        if std::mem::take(&mut self.named) {
            if let Err(error) = ip(["netns", "del", &self.name]) {
                eprintln!("{error}");
            }
        }
    }

    /// Takes everything away: the process inside and the name.
    pub fn remove(&mut self) {
        self.kill_holder();
        self.remove_name();
    }

    /// Takes everything away and makes a new namespace of the same name with a new process inside,
    /// as when a container is restarted.
    pub fn restart(&mut self) -> io::Result<()> {
        self.remove();
        self.set_up()
    }

    fn set_up(&mut self) -> io::Result<()> {
        ip(["netns", "add", &self.name])?;
        self.named = true;
        ip(["-n", &self.name, "link", "set", "lo", "up"])?;
        let mut holder = Command::new("cat");
        holder.stdin(Stdio::piped()).stdout(Stdio::null());
        self.holder = Some(self.spawn(&mut holder)?);
        Ok(())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        self.remove();
    }
}

/// The names of all namespaces that this process has made and not removed.
pub fn own_names() -> Vec<String> {
    let own = format!("{PREFIX}{}-", process::id());
    names().into_iter().filter(|name| name.starts_with(&own)).collect()
}

/// Removes what test processes that no longer live have left.
fn sweep() {
    for name in names() {
        let maker = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split_once('-'))
            .and_then(|(pid, count)| Some((pid.parse::<u32>().ok()?, count.parse::<u32>().ok()?)));
        if let Some((pid, _)) = maker {
            if !Path::new("/proc").join(pid.to_string()).exists() {
                // Another test may be sweeping as well; whoever comes second fails.
                let _ = ip(["netns", "del", &name]);
                let _ = fs::remove_dir_all(Path::new(NETNS_FILES).join(&name));
            }
        }
    }
}

fn names() -> Vec<String> {
    let Ok(entries) = fs::read_dir(RUN_DIRECTORY) else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

fn ip<const N: usize>(args: [&str; N]) -> io::Result<String> {
    run(Command::new("ip").args(args).output(), &format!("ip {}", args.join(" ")))
}

fn run(output: io::Result<process::Output>, what: &str) -> io::Result<String> {
    let output =
        output.map_err(|error| io::Error::new(error.kind(), format!("{what}: {error}")))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let kind = if said.contains("Operation not permitted") || said.contains("Permission denied") {
        io::ErrorKind::PermissionDenied
    } else {
        io::ErrorKind::Other
    };
    Err(io::Error::new(kind, format!("{what}: {}: {}", output.status, said.trim())))
}

fn forbidden(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};
    use std::panic::catch_unwind;

    #[test]
    fn sockets_made_inside_stay_inside() {
        let Some(namespace) = Namespace::for_test("sockets_made_inside_stay_inside") else {
            return;
        };
        let listener = namespace.inside(|| TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        assert!(TcpStream::connect(address).is_err(), "the port is open at home as well");
        let client = namespace.inside(|| TcpStream::connect(address)).unwrap();
        assert_eq!(listener.accept().unwrap().1, client.local_addr().unwrap());
    }

    #[test]
    fn the_holder_and_programs_are_inside() {
        let Some(namespace) = Namespace::for_test("the_holder_and_programs_are_inside") else {
            return;
        };
        let holder = fs::metadata(format!("/proc/{}/ns/net", namespace.pid())).unwrap();
        assert_eq!((holder.dev(), holder.ino()), namespace.identity());
        let seen = namespace.run("readlink", ["/proc/self/ns/net"]);
        assert_eq!(seen.trim(), format!("net:[{}]", namespace.identity().1));
        assert!(namespace.run("ip", ["-brief", "addr"]).contains("127.0.0.1/8"));
    }

    #[test]
    fn everything_goes_also_after_a_panic() {
        let Some(namespace) = Namespace::for_test("everything_goes_also_after_a_panic") else {
            return;
        };
        let (name, pid) = (namespace.name().to_owned(), namespace.pid());
        assert!(own_names().contains(&name));
        let panicked = catch_unwind(move || {
            namespace.run("false", [""; 0]);
        });
        assert!(panicked.is_err());
        assert!(!own_names().contains(&name));
        assert!(!Path::new("/proc").join(pid.to_string()).exists());
    }

    #[test]
    fn a_restart_keeps_the_name_and_nothing_else() {
        let Some(mut namespace) = Namespace::for_test("a_restart_keeps_the_name") else { return };
        let pinned = File::open(namespace.path()).unwrap();
        let (path, pid, identity) = (namespace.path(), namespace.pid(), namespace.identity());
        namespace.restart().unwrap();
        assert_eq!(namespace.path(), path);
        assert_ne!(namespace.pid(), pid);
        assert_ne!(namespace.identity(), identity);
        drop(pinned);
    }

    #[test]
    fn what_a_dead_test_left_is_swept() {
        let Some(_namespace) = Namespace::for_test("what_a_dead_test_left_is_swept") else {
            return;
        };
        let mut dead = Command::new("true").spawn().unwrap();
        dead.wait().unwrap();
        let left = format!("{PREFIX}{}-0", dead.id());
        ip(["netns", "add", &left]).unwrap();
        sweep();
        assert!(!names().contains(&left));
        assert!(!own_names().is_empty());
    }
}
