//! A real containerd with its CRI plugin, for one test: pods and containers without a cluster or a
//! registry.
//!
//! It has a network namespace and a mount namespace of its own, with its own /run, in which all is
//! where it is on a node: below [`Containerd::root`] a test sees `run/containerd` and `run/netns`,
//! and nobody else does. PIDs are the machine's. One image, made of busybox, is there for sandboxes
//! and containers. A shell keeps it all, and takes it away when the test ends, however that ends.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use nsplice_http2::Outcome;

use crate::grpc;
use crate::skip;
use crate::wait::wait_until;

mod layout;

use layout::{config, make_image, network, run, CNI, IMAGE};

/// A running containerd.
#[derive(Debug)]
pub struct Containerd {
    directory: PathBuf,
    keeper: Child,
    pid: u32,
}

/// A pod's sandbox.
#[derive(Debug, Clone)]
pub struct Pod {
    /// The ID of the sandbox.
    pub id: String,
    config: Vec<u8>,
    network: HasNetwork,
}

/// Whose network a pod has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HasNetwork {
    /// One of its own, with an address of 10.213.0.0/24.
    Own,
    /// That of the node, which is containerd's own namespace.
    Node,
}

impl Containerd {
    /// A containerd for the test `test`, or `None` and a line that says why not.
    ///
    /// # Panics
    /// If it should run here and does not.
    #[track_caller]
    pub fn for_test(test: &str) -> Option<Self> {
        // In a user namespace root is not root enough: there are no control groups to be made.
        let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        if map.split_whitespace().collect::<Vec<_>>() != ["0", "0", "4294967295"] {
            skip::skipped(test, "containerd needs root on the machine");
            return None;
        }
        if !skip::require_root_or_userns(test) {
            return None;
        }
        for tool in ["containerd", "ctr", "runc", "unshare", "ip", "tar", "sha256sum"] {
            skip::require_tool(test, tool)?;
        }
        let busybox = skip::require_tool(test, "busybox")?;
        if !Path::new(CNI).join("ptp").exists() {
            let help = "apt-get install containernetworking-plugins would help";
            skip::skipped(test, format_args!("there is no {CNI}/ptp; {help}"));
            return None;
        }
        match Self::start(&busybox) {
            Ok(containerd) => Some(containerd),
            Err(error) => panic!("cannot start containerd: {error}"),
        }
    }

    fn start(busybox: &Path) -> io::Result<Self> {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let count = COUNTER.fetch_add(1, Ordering::Relaxed);
        let name = format!("nsplice-containerd-{}-{count}", process::id());
        let directory = std::env::temp_dir().join(name);
        for below in ["root", "cni", "image/bin", "logs"] {
            fs::create_dir_all(directory.join(below))?;
        }
        fs::write(directory.join("config.toml"), config(&directory))?;
        fs::write(directory.join("cni/10-test.conflist"), network(&directory))?;
        make_image(&directory, busybox)?;
        let mut keeper = Command::new("unshare")
            .args(["--net", "--mount", "sh", "-c", include_str!("containerd/run.sh"), "keeper"])
            .arg(&directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let said = keeper.stdout.take();
        let mut containerd = Self { directory, keeper, pid: 0 };
        let mut line = String::new();
        if let Some(said) = said {
            BufReader::new(said).read_line(&mut line)?;
        }
        containerd.pid = line.trim().parse().map_err(|_| io::Error::other("no namespaces"))?;
        containerd.prepare();
        Ok(containerd)
    }

    /// Waits until it answers, and gives it the image.
    #[track_caller]
    fn prepare(&self) {
        wait_until("containerd", || self.ask("Version", &[]).is_ok_and(|outcome| outcome.is_ok()));
        let image = self.directory.join("image.tar");
        let import = ["-n", "k8s.io", "images", "import"].map(OsStr::new);
        self.ctr(import.into_iter().chain([image.as_os_str()]));
        // The plugin hears of it by an event.
        let question = message(1, &text(1, IMAGE));
        let method = "/runtime.v1.ImageService/ImageStatus";
        wait_until("the image", || {
            let answer = grpc::call(&self.socket(), method, &question);
            answer.is_ok_and(|outcome| outcome.is_ok_and(|status| !status.is_empty()))
        });
    }

    /// Its socket, which speaks CRI and containerd's own API.
    pub fn socket(&self) -> PathBuf {
        self.root().join("run/containerd/containerd.sock")
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The file system as it sees it, its mounts included.
    pub fn root(&self) -> PathBuf {
        // The keeper's, which sees the same, and outlives it.
        PathBuf::from(format!("/proc/{}/root", self.keeper.id()))
    }

    /// The control group of its pods, which is nobody else's.
    fn groups(&self) -> String {
        let name = self.directory.file_name().unwrap_or_default();
        format!("/{}", name.to_string_lossy())
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }

    /// Makes a pod `name` in the Kubernetes namespace `namespace`, as a kubelet would: with its
    /// labels.
    ///
    /// # Panics
    /// If containerd does not.
    #[track_caller]
    pub fn pod(&self, namespace: &str, name: &str, network: HasNetwork) -> Pod {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let uid = format!("uid-{}-{}", process::id(), COUNTER.fetch_add(1, Ordering::Relaxed));
        let metadata = [text(1, name), text(2, &uid), text(3, namespace)].concat();
        let labels = [
            ("io.kubernetes.pod.name", name),
            ("io.kubernetes.pod.namespace", namespace),
            ("io.kubernetes.pod.uid", &uid),
        ];
        let labels =
            labels.map(|(key, value)| message(6, &[text(1, key), text(2, value)].concat()));
        let hostname = match network {
            HasNetwork::Own => text(2, name),
            HasNetwork::Node => Vec::new(),
        };
        let logs = self.directory.join("logs").join(&uid);
        let security = message(1, &network.options());
        let config = [
            message(1, &metadata),
            hostname,
            text(3, &logs.to_string_lossy()),
            labels.concat(),
            message(8, &[text(1, &self.groups()), message(2, &security)].concat()),
        ]
        .concat();
        let id = id_in(&self.call("RunPodSandbox", &message(1, &config)));
        Pod { id, config, network }
    }

    /// Starts a container `name` in `pod` that runs `command`, whose first word is a path in the
    /// image: `/bin/sleep`, `/bin/busybox`. Returns its ID.
    ///
    /// # Panics
    /// If containerd does not.
    #[track_caller]
    pub fn container(&self, pod: &Pod, name: &str, command: &[&str]) -> String {
        let id = self.created_container(pod, name, command);
        self.call("StartContainer", &text(1, &id));
        id
    }

    /// Makes such a container and does not start it.
    ///
    /// # Panics
    /// If containerd does not.
    #[track_caller]
    pub fn created_container(&self, pod: &Pod, name: &str, command: &[&str]) -> String {
        let words: Vec<u8> = command.iter().flat_map(|word| text(3, word)).collect();
        let config = [
            message(1, &text(1, name)),
            message(2, &text(1, IMAGE)),
            words,
            message(9, &[text(1, "io.kubernetes.container.name"), text(2, name)].concat()),
            text(11, &format!("{name}.log")),
            message(15, &message(2, &message(3, &pod.network.options()))),
        ];
        let request = [text(1, &pod.id), message(2, &config.concat()), message(3, &pod.config)];
        id_in(&self.call("CreateContainer", &request.concat()))
    }

    /// Ends a container at once.
    ///
    /// # Panics
    /// If containerd does not.
    #[track_caller]
    pub fn stop_container(&self, id: &str) {
        self.call("StopContainer", &text(1, id));
    }

    /// Takes away a container that has ended.
    ///
    /// # Panics
    /// If containerd does not.
    #[track_caller]
    pub fn remove_container(&self, id: &str) {
        self.call("RemoveContainer", &text(1, id));
    }

    /// Ends a pod and all that is in it. It is listed on.
    ///
    /// # Panics
    /// If containerd does not.
    #[track_caller]
    pub fn stop_pod(&self, pod: &Pod) {
        self.call("StopPodSandbox", &text(1, &pod.id));
    }

    /// Takes away a pod.
    ///
    /// # Panics
    /// If containerd does not.
    #[track_caller]
    pub fn remove_pod(&self, pod: &Pod) {
        self.call("RemovePodSandbox", &text(1, &pod.id));
    }

    /// Calls a method of the runtime service and returns the message of the answer.
    ///
    /// # Panics
    /// If it fails.
    #[track_caller]
    pub fn call(&self, method: &str, request: &[u8]) -> Vec<u8> {
        match self.ask(method, request) {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => panic!("{method}: {error}\n{}", self.log()),
            Err(error) => panic!("{method}: {error}\n{}", self.log()),
        }
    }

    /// The same, but that a failure is an answer, too.
    pub fn ask(&self, method: &str, request: &[u8]) -> io::Result<Outcome> {
        grpc::call(&self.socket(), &format!("/runtime.v1.RuntimeService/{method}"), request)
    }

    /// Runs `ctr`, its own client, to its end and returns its standard output.
    ///
    /// # Panics
    /// If it fails.
    #[track_caller]
    pub fn ctr<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> String {
        let mut ctr = Command::new("ctr");
        run(ctr.arg("-a").arg(self.socket()).args(args)).unwrap_or_else(|error| panic!("{error}"))
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        // The keeper waits for the end of its standard input.
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

impl HasNetwork {
    /// The `NamespaceOption`: processes of each container's own.
    fn options(self) -> Vec<u8> {
        match self {
            // Network POD is 0, which is left out; PID CONTAINER is 1.
            Self::Own => number(2, 1),
            Self::Node => [number(1, 2), number(2, 1)].concat(),
        }
    }
}

/// A field of text in a message of protocol buffers.
fn text(field: u8, text: &str) -> Vec<u8> {
    message(field, text.as_bytes())
}

/// A field of a message, or of bytes.
fn message(field: u8, bytes: &[u8]) -> Vec<u8> {
    let mut message = vec![field << 3 | 2];
    let mut length = bytes.len();
    while length >= 0x80 {
        message.push(length.to_le_bytes()[0] | 0x80);
        length >>= 7;
    }
    message.push(length.to_le_bytes()[0]);
    message.extend_from_slice(bytes);
    message
}

/// A field of a small number.
fn number(field: u8, value: u8) -> Vec<u8> {
    vec![field << 3, value]
}

/// The text in the field 1, which is the first one.
#[track_caller]
fn id_in(answer: &[u8]) -> String {
    match answer {
        [0x0a, length, id @ ..] if usize::from(*length) == id.len() && *length < 0x80 => {
            String::from_utf8_lossy(id).into_owned()
        }
        _ => panic!("no ID in {answer:x?}"),
    }
}

#[cfg(test)]
mod tests;
