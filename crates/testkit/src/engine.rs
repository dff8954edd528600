//! A Docker or a podman that belongs to the tests, and containers in it.
//!
//! It runs with directories and a socket of its own and touches neither the machine's bridges nor its
//! firewall: containers have a network namespace with nothing but loopback, which is all that nsplice
//! needs. Their image is one static busybox, imported, so no registry is asked. Below the directory
//! everything is where it is below the root of a machine, so the directory can stand in for that.
//!
//! A shell, the keeper, is the engine's parent. It waits for the end of a pipe that only the tests hold
//! and then stops the engine, undoes its mounts and removes its directory: that also happens when the
//! tests are killed. Tests that run side by side share one engine of each kind; the last one ends it.

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::queue::waiting_beside;
use crate::wait::poll_for;
use crate::{skip, wait_until, PATIENCE};

/// Where the echo server of each container listens.
pub const ECHO_PORT: u16 = 7000;

const IMAGE: &str = "localhost/nsplice-test";

/// Which engine it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// dockerd.
    Docker,
    /// podman, which is a daemon for the sake of its socket only.
    Podman,
}

impl Kind {
    /// Runs the engine in the directory `$1` and cleans up after it.
    fn start(self) -> &'static str {
        match self {
            Self::Docker => {
                r#"dockerd --host "unix://$1/var/run/docker.sock" --pidfile "$1/pid" \
    --data-root "$1/var/lib/docker" --exec-root "$1/run/docker" \
    --bridge none --iptables=false --ip6tables=false >"$1/log" 2>&1 &"#
            }
            Self::Podman => {
                r#"CONTAINERS_CONF=$1/containers.conf podman --root "$1/var/lib/containers/storage" \
    --runroot "$1/run/containers/storage" \
    system service --time 0 "unix://$1/run/podman/podman.sock" >"$1/log" 2>&1 &"#
            }
        }
    }

    /// Stops what outlives the engine.
    fn sweep(self) -> &'static str {
        match self {
            Self::Docker => "",
            Self::Podman => {
                r#"for what in 'pod rm' rm; do
    CONTAINERS_CONF=$1/containers.conf podman --root "$1/var/lib/containers/storage" \
        --runroot "$1/run/containers/storage" $what --force --time 0 --all >/dev/null 2>&1
done"#
            }
        }
    }

    /// What it takes, besides busybox.
    fn tools(self) -> &'static [&'static str] {
        match self {
            Self::Docker => &["dockerd", "docker", "tar"],
            Self::Podman => &["podman", "runc", "tar"],
        }
    }

    fn socket(self) -> &'static str {
        match self {
            Self::Docker => "var/run/docker.sock",
            Self::Podman => "run/podman/podman.sock",
        }
    }
}

/// A root without CAP_SYS_RESOURCE cannot set podman's own limits, older cruns refuse cgroups of both
/// versions side by side, and there need not be a systemd.
const CONTAINERS_CONF: &str = r#"
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
log_driver = "k8s-file"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
tmp_dir = "DIRECTORY/tmp"
"#;

/// An engine that runs.
#[derive(Debug)]
pub struct Engine {
    kind: Kind,
    directory: PathBuf,
    keeper: Child,
}

impl Engine {
    /// The engine of this kind for the test `test`, or `None` and a line that says why there is none.
    ///
    /// # Panics
    /// If it runs, and takes no image.
    #[track_caller]
    pub fn for_test(kind: Kind, test: &str) -> Option<Arc<Self>> {
        static SHARED: [Mutex<Weak<Engine>>; 2] =
            [Mutex::new(Weak::new()), Mutex::new(Weak::new())];
        if !skip::require_root_or_userns(test) {
            return None;
        }
        for tool in kind.tools() {
            skip::require_tool(test, tool)?;
        }
        let busybox = skip::require_tool(test, "busybox")?;
        // Held while it starts, so that tests do not start one each.
        let shared = &SHARED[usize::from(kind == Kind::Podman)];
        let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(engine) = shared.upgrade() {
            return Some(engine);
        }
        match Self::start(kind) {
            Ok(engine) => {
                engine.import_image(&busybox);
                let engine = Arc::new(engine);
                *shared = Arc::downgrade(&engine);
                Some(engine)
            }
            Err(last_words) => {
                skip::skipped(test, format_args!("{kind:?} does not run here: {last_words}"));
                None
            }
        }
    }

    /// Starts it and waits until it answers; else its last line.
    fn start(kind: Kind) -> Result<Self, String> {
        let directory = tempfile::tempdir().expect("a directory for the engine").keep();
        for below in ["var/run", "run/podman", "run/containers/storage", "tmp"] {
            fs::create_dir_all(directory.join(below)).expect("a directory for the engine");
        }
        let conf = CONTAINERS_CONF.replace("DIRECTORY", &directory.display().to_string());
        fs::write(directory.join("containers.conf"), conf).expect("write containers.conf");
        let script = format!(
            r#"
{}
engine=$!
# The standard input of a background job is /dev/null.
exec 3<&0
{{ read -r _ <&3; kill "$engine"; }} &
watcher=$!
wait "$engine"
kill "$watcher" 2>/dev/null
{}
tail -n 1 "$1/log" >&2
cut -d ' ' -f 2 /proc/self/mounts | grep "^$1/" | sort -r | xargs -r umount -l
rm -rf --one-file-system "$1"
"#,
            kind.start(),
            kind.sweep()
        );
        let mut keeper = Command::new("sh");
        keeper.args(["-c", &script, "keeper"]).arg(&directory);
        keeper.stdin(Stdio::piped()).stderr(Stdio::piped());
        // A Ctrl-C is for the tests; the keeper sees that they have ended.
        let keeper = keeper.process_group(0).spawn().expect("start a shell");
        let mut engine = Self { kind, directory, keeper };
        let answers = poll_for(PATIENCE, || {
            let ended = engine.keeper.try_wait().expect("a child can be waited for").is_some();
            let listens = engine.directory.join(kind.socket()).exists();
            let version = || engine.command(["version"]).output().expect("run the client");
            (ended || listens && version().status.success()).then_some(!ended)
        });
        match answers {
            Some(true) => Ok(engine),
            Some(false) => {
                let mut last_words = String::new();
                if let Some(mut stderr) = engine.keeper.stderr.take() {
                    let _ = stderr.read_to_string(&mut last_words);
                }
                Err(last_words.trim().to_owned())
            }
            None => Err(format!("no answer within {} s", PATIENCE.as_secs())),
        }
    }

    fn import_image(&self, busybox: &Path) {
        let root = self.directory.join("image");
        for below in ["bin", "etc", "tmp", "proc", "sys", "dev"] {
            fs::create_dir_all(root.join(below)).expect("a directory for the image");
        }
        fs::copy(busybox, root.join("bin/busybox")).expect("copy busybox");
        for name in ["cat", "sleep"] {
            symlink("busybox", root.join("bin").join(name)).expect("a link to busybox");
        }
        let archive = self.directory.join("image.tar");
        let mut tar = Command::new("tar");
        tar.arg("-cf").arg(&archive).arg("-C").arg(&root).arg(".");
        assert!(tar.status().expect("run tar").success(), "tar failed");
        self.run([OsStr::new("import"), archive.as_os_str(), OsStr::new(IMAGE)]);
    }

    /// The directory that stands in for the root of a machine.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The path of its socket.
    pub fn socket(&self) -> PathBuf {
        self.directory.join(self.kind.socket())
    }

    /// Where its socket is, in the form of `DOCKER_HOST`.
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// Starts a container whose only process sends back what comes to [`ECHO_PORT`], in a network
    /// namespace of its own.
    pub fn container(self: &Arc<Self>, name: &str) -> Container {
        self.container_with(name, &["--network", "none"], ECHO_PORT)
    }

    /// The same with more options, and the echo server at another port.
    pub fn container_with(self: &Arc<Self>, name: &str, options: &[&str], port: u16) -> Container {
        let mut args = vec!["run", "--detach", "--name", name];
        args.extend(options);
        // As the first process of its namespace it does not end by SIGTERM.
        args.extend(["--stop-signal", "KILL", IMAGE]);
        let text = port.to_string();
        args.extend(["/bin/busybox", "nc", "-ll", "-p", &text, "-e", "/bin/cat"]);
        let id = self.run(args);
        let container = Container { engine: self.clone(), name: name.to_owned(), id, port };
        container.wait_ready();
        container
    }

    /// The name of the image that containers are made of.
    pub fn image(&self) -> &'static str {
        IMAGE
    }

    /// Runs its client to the end and returns what it says.
    ///
    /// # Panics
    /// If it fails.
    #[track_caller]
    pub fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> String {
        let mut command = self.command(args);
        let output = command.output().expect("run the client");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?}: {}: {said}", output.status);
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Its client, `docker` or `podman`, with these arguments.
    pub fn command<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Command {
        let mut command = match self.kind {
            Kind::Docker => {
                let mut docker = Command::new("docker");
                docker.env("DOCKER_HOST", self.host());
                docker
            }
            Kind::Podman => {
                let mut podman = Command::new("podman");
                podman.env("CONTAINERS_CONF", self.directory.join("containers.conf"));
                podman.arg("--root").arg(self.directory.join("var/lib/containers/storage"));
                podman.arg("--runroot").arg(self.directory.join("run/containers/storage"));
                podman
            }
        };
        command.args(args);
        command
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let ended = poll_for(PATIENCE, || self.keeper.try_wait().ok().flatten());
        if ended.is_none() {
            eprintln!("{:?} in {} does not end", self.kind, self.directory.display());
        }
    }
}

/// A container with an echo server; removed at the end of its scope.
#[derive(Debug)]
pub struct Container {
    engine: Arc<Engine>,
    name: String,
    id: String,
    port: u16,
}

impl Container {
    /// The name it was made with.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its whole ID, 64 hexadecimal digits.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The number and the network namespace of its first process, as the engine and the kernel name
    /// them.
    ///
    /// # Panics
    /// If it does not run.
    #[track_caller]
    pub fn place(&self) -> (u32, PathBuf) {
        let pid = self.engine.run(["inspect", "--format", "{{.State.Pid}}", &self.id]);
        let namespace = fs::read_link(format!("/proc/{pid}/ns/net")).expect("a namespace");
        (pid.parse().expect("a process id"), namespace)
    }

    /// Stops it.
    pub fn stop(&self) {
        self.engine.run(["stop", &self.id]);
    }

    /// Starts it again: with a new process, in a new namespace.
    pub fn start(&self) {
        self.engine.run(["start", &self.id]);
        self.wait_ready();
    }

    /// Waits until its server listens, at an address of either family.
    fn wait_ready(&self) {
        let (pid, _) = self.place();
        let anywhere: [IpAddr; 2] = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
        let listens = |ip| waiting_beside(pid, SocketAddr::new(ip, self.port)).is_some();
        wait_until("the server of the container", || anywhere.into_iter().any(listens));
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // What is left is stopped with the engine.
        let _ = self.engine.command(["rm", "--force", &self.id]).output();
    }
}
