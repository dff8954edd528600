//! A Docker daemon that belongs to the tests, and containers in it.
//!
//! dockerd runs with directories and a socket of its own and touches neither the machine's bridges
//! nor its firewall: containers have a network namespace with nothing but loopback, which is all
//! that nsplice needs. Their image is one static busybox, imported, so no registry is asked.
//!
//! A shell, the keeper, is dockerd's parent. It waits for the end of a pipe that only the tests hold
//! and then stops dockerd, undoes its mounts and removes its directory: that also happens when the
//! tests are killed. Tests that run side by side share one daemon; the last one ends it.

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use nsplice_testkit::queue::waiting_beside;
use nsplice_testkit::wait::poll_for;
use nsplice_testkit::{skip, wait_until, Program, PATIENCE};

/// Where the echo server of each container listens.
pub(crate) const ECHO_PORT: u16 = 7000;

const IMAGE: &str = "nsplice-test";

/// Runs dockerd in the directory `$1` and cleans up after it. The watcher gets the pipe as
/// descriptor 3, because the standard input of a background job is /dev/null.
const KEEPER: &str = r#"
dockerd --host "unix://$1/docker.sock" --pidfile "$1/pid" \
    --data-root "$1/data" --exec-root "$1/exec" \
    --bridge none --iptables=false --ip6tables=false >"$1/log" 2>&1 &
dockerd=$!
exec 3<&0
{ read -r _ <&3; kill "$dockerd"; } &
watcher=$!
wait "$dockerd"
kill "$watcher" 2>/dev/null
tail -n 1 "$1/log" >&2
cut -d ' ' -f 2 /proc/self/mounts | grep "^$1/" | sort -r | xargs -r umount -l
rm -rf --one-file-system "$1"
"#;

/// A running dockerd.
#[derive(Debug)]
pub(crate) struct Engine {
    directory: PathBuf,
    keeper: Child,
}

impl Engine {
    /// The daemon for the test `test`, or `None` and a line that says why there is none.
    pub(crate) fn for_test(test: &str) -> Option<Arc<Self>> {
        static SHARED: Mutex<Weak<Engine>> = Mutex::new(Weak::new());
        if !skip::require_root_or_userns(test) {
            return None;
        }
        for tool in ["dockerd", "docker", "tar", "nsenter", "socat"] {
            skip::require_tool(test, tool)?;
        }
        let busybox = skip::require_tool(test, "busybox")?;
        // Held while dockerd starts, so that tests do not start one each.
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(engine) = shared.upgrade() {
            return Some(engine);
        }
        match Self::start() {
            Ok(engine) => {
                engine.import_image(&busybox);
                let engine = Arc::new(engine);
                *shared = Arc::downgrade(&engine);
                Some(engine)
            }
            Err(last_words) => {
                skip::skipped(test, format_args!("dockerd does not run here: {last_words}"));
                None
            }
        }
    }

    /// Starts dockerd and waits until it answers; else its last line.
    fn start() -> Result<Self, String> {
        let directory = tempfile::tempdir().expect("a directory for dockerd").keep();
        let mut keeper = Command::new("sh");
        keeper.args(["-c", KEEPER, "keeper"]).arg(&directory);
        keeper.stdin(Stdio::piped()).stderr(Stdio::piped());
        // A Ctrl-C is for the tests; the keeper sees that they have ended.
        let keeper = keeper.process_group(0).spawn().expect("start a shell");
        let mut engine = Self { directory, keeper };
        let answers = poll_for(PATIENCE, || {
            let version = engine.command(["version"]).output().expect("run docker");
            let ended = engine.keeper.try_wait().expect("a child can be waited for").is_some();
            (version.status.success() || ended).then_some(!ended)
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

    fn import_image(&self, busybox: &PathBuf) {
        let root = self.directory.join("image");
        fs::create_dir_all(root.join("bin")).expect("a directory for the image");
        fs::copy(busybox, root.join("bin/busybox")).expect("copy busybox");
        symlink("busybox", root.join("bin/cat")).expect("a link to busybox");
        let archive = self.directory.join("image.tar");
        let mut tar = Command::new("tar");
        tar.arg("-cf").arg(&archive).arg("-C").arg(&root).arg(".");
        assert!(tar.status().expect("run tar").success(), "tar failed");
        self.docker([OsStr::new("import"), archive.as_os_str(), OsStr::new(IMAGE)]);
    }

    /// Where its socket is, in the form of `DOCKER_HOST`.
    pub(crate) fn host(&self) -> String {
        format!("unix://{}", self.directory.join("docker.sock").display())
    }

    /// Starts a container whose only process sends back what comes to [`ECHO_PORT`].
    pub(crate) fn container(self: &Arc<Self>, name: &str) -> Container {
        let mut args = vec!["run", "--detach", "--name", name, "--network", "none"];
        // As the first process of its namespace it does not end by SIGTERM.
        args.extend(["--stop-signal", "KILL", IMAGE]);
        let port = ECHO_PORT.to_string();
        args.extend(["/bin/busybox", "nc", "-ll", "-p", &port, "-e", "/bin/cat"]);
        let id = self.docker(args);
        let container = Container { engine: self.clone(), name: name.to_owned(), id };
        container.wait_ready();
        container
    }

    /// Runs `docker` to its end and returns what it says.
    fn docker<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> String {
        let mut command = self.command(args);
        let output = command.output().expect("run docker");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?}: {}: {said}", output.status);
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn command<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new("docker");
        command.env("DOCKER_HOST", self.host()).args(args);
        command
    }

    /// `nsplice` that asks this Docker.
    pub(crate) fn nsplice<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nsplice"));
        command.env("DOCKER_HOST", self.host()).stdin(Stdio::null()).args(args);
        command
    }

    /// `nsplice forward` from a free port of 127.0.0.1 to the echo server of `container`.
    pub(crate) fn forward(&self, container: &str, backend: &str) -> Program {
        let target = format!("docker/{container}");
        let port = format!(":{ECHO_PORT}");
        let args = ["forward", &target, &port, "--address", "127.0.0.1", "--backend", backend];
        Program::spawn(&mut self.nsplice(args))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let ended = poll_for(PATIENCE, || self.keeper.try_wait().ok().flatten());
        if ended.is_none() {
            eprintln!("dockerd in {} does not end", self.directory.display());
        }
    }
}

/// A container with an echo server; removed at the end of its scope.
#[derive(Debug)]
pub(crate) struct Container {
    engine: Arc<Engine>,
    name: String,
    id: String,
}

impl Container {
    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Its whole ID, 64 hexadecimal digits.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// The number and the network namespace of its first process, as Docker and the kernel name
    /// them.
    pub(crate) fn place(&self) -> (u32, PathBuf) {
        let pid = self.engine.docker(["inspect", "--format", "{{.State.Pid}}", &self.id]);
        let namespace = fs::read_link(format!("/proc/{pid}/ns/net")).expect("a namespace");
        (pid.parse().expect("a process id"), namespace)
    }

    /// Stops it.
    pub(crate) fn stop(&self) {
        self.engine.docker(["stop", &self.id]);
    }

    /// Starts it again: with a new process, in a new namespace.
    pub(crate) fn start(&self) {
        self.engine.docker(["start", &self.id]);
        self.wait_ready();
    }

    /// Waits until its server listens, at an address of either family.
    fn wait_ready(&self) {
        let (pid, _) = self.place();
        let anywhere: [IpAddr; 2] = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
        let listens = |ip| waiting_beside(pid, SocketAddr::new(ip, ECHO_PORT)).is_some();
        wait_until("the server of the container", || anywhere.into_iter().any(listens));
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // What is left is stopped with dockerd.
        let _ = self.engine.command(["rm", "--force", &self.id]).output();
    }
}
