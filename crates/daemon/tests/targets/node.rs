//! A node for `--root`: a tree of files like containerd's, and processes that listen.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use nsplice_testkit::queue::waiting_beside;
use nsplice_testkit::skip::require_tool;
use nsplice_testkit::{wait_until, Namespace};
use serde_json::{json, Value};

use crate::binary::{end_of, nsplice, End};

const TASKS: &str = "run/containerd/io.containerd.runtime.v2.task/k8s.io";

/// A node whose files are in a directory of its own, and whose processes are ours.
#[derive(Debug)]
pub(crate) struct Node {
    directory: tempfile::TempDir,
}

impl Node {
    /// A node with processes and nothing else.
    pub(crate) fn new() -> Self {
        let node = Self::bare();
        symlink("/proc", node.path("proc")).expect("a link");
        node
    }

    /// A node without processes.
    pub(crate) fn bare() -> Self {
        Self { directory: tempfile::tempdir().expect("a directory") }
    }

    /// Its root.
    pub(crate) fn root(&self) -> &Path {
        self.directory.path()
    }

    /// The path of one of its files.
    pub(crate) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.root().join(path)
    }

    /// Writes the file `path`.
    pub(crate) fn write(&self, path: impl AsRef<Path>, text: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("make a directory");
        fs::write(path, text).expect("write a file");
    }

    /// The pod `default/NAME`, whose sandbox has the ID `id` and the process `pid`.
    pub(crate) fn pod(&self, id: &str, name: &str, pid: u32) {
        self.bundle(id, id, name, &json!({ "container-type": "sandbox" }), pid);
    }

    /// A container of that pod.
    pub(crate) fn container(&self, id: &str, sandbox: &str, pod: &str, name: &str, pid: u32) {
        let kind = json!({ "container-type": "container", "container-name": name });
        self.bundle(id, sandbox, pod, &kind, pid);
    }

    fn bundle(&self, id: &str, sandbox: &str, pod: &str, kind: &Value, pid: u32) {
        let all = json!({
            "sandbox-id": sandbox,
            "sandbox-name": pod,
            "sandbox-namespace": "default",
            "sandbox-uid": format!("uid-{}", &sandbox[..8]),
        });
        let all = [&all, kind].into_iter().flat_map(|part| part.as_object().expect("a map"));
        let annotations: serde_json::Map<String, Value> =
            all.map(|(key, value)| (format!("io.kubernetes.cri.{key}"), value.clone())).collect();
        let namespaces = json!([{ "type": "pid" }, { "type": "network" }]);
        let config = json!({ "annotations": annotations, "linux": { "namespaces": namespaces } });
        // The PID first: a container without one is none.
        self.write(format!("{TASKS}/{id}/init.pid"), pid.to_string());
        self.write(format!("{TASKS}/{id}/config.json"), config.to_string());
    }

    /// Takes a container or a sandbox away.
    pub(crate) fn remove(&self, id: &str) {
        fs::remove_dir_all(self.path(format!("{TASKS}/{id}"))).expect("remove a directory");
    }

    /// `nsplice` with the words of `line`, on this node.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = nsplice(line);
        command.arg("--root").arg(self.root());
        command
    }

    /// Runs `nsplice` with the words of `line` to its end.
    pub(crate) fn end(&self, line: &str) -> End {
        end_of(&mut self.command(line))
    }

    /// The targets that `nsplice targets` lists as JSON.
    pub(crate) fn targets(&self) -> Vec<Value> {
        listed(&self.end("targets --output json"))
    }
}

/// The targets in the JSON that was printed.
#[track_caller]
pub(crate) fn listed(end: &End) -> Vec<Value> {
    let told: Value = serde_json::from_str(&end.stdout).unwrap_or_else(|_| panic!("{end:?}"));
    told["targets"].as_array().expect("a list").clone()
}

/// The one whose words are `target`.
#[track_caller]
pub(crate) fn of<'a>(targets: &'a [Value], target: &str) -> &'a Value {
    let found = targets.iter().find(|each| each["target"] == target);
    found.unwrap_or_else(|| panic!("no {target} in {targets:#?}"))
}

/// The ports of a target, in short: `127.0.0.1:80 nginx local`.
pub(crate) fn ports(target: &Value) -> Vec<String> {
    let ports = target["ports"].as_array().unwrap_or_else(|| panic!("no ports: {target:#}"));
    let short = |port: &Value| {
        let address = port["address"].as_str().unwrap().parse().unwrap();
        let number = port["port"].as_u64().unwrap().try_into().unwrap();
        let name = port["process"]["name"].as_str().unwrap_or("?");
        let local = if port["localhost_only"] == true { " local" } else { "" };
        format!("{} {name}{local}", SocketAddr::new(address, number))
    };
    ports.iter().map(short).collect()
}

/// An ID that begins with `start`.
pub(crate) fn id(start: &str) -> String {
    format!("{start:0<64}")
}

/// A process that listens in a namespace; killed at the end of its scope.
#[derive(Debug)]
pub(crate) struct Listening {
    child: Child,
    _directory: tempfile::TempDir,
}

impl Listening {
    /// Starts one in `namespace` that calls itself `name`, at `address`. `None` and a line if it takes a
    /// tool that there is not.
    #[track_caller]
    pub(crate) fn start(
        test: &str,
        namespace: &Namespace,
        name: &str,
        address: &str,
    ) -> Option<Self> {
        let busybox = require_tool(test, "busybox")?;
        let address: SocketAddr = address.parse().expect("an address");
        // The kernel calls a process by the file that it was started from.
        let directory = tempfile::tempdir().expect("a directory");
        let program = directory.path().join(name);
        fs::hard_link(&busybox, &program)
            .or_else(|_| symlink(&busybox, &program))
            .expect("a link to busybox");
        let mut command = Command::new(&program);
        command.arg0("httpd").args(["-f", "-p", &address.to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let child = namespace.spawn(&mut command).expect("start busybox");
        let listening = Self { child, _directory: directory };
        wait_until("a process that listens", || waiting_beside(listening.pid(), address).is_some());
        Some(listening)
    }

    /// Its number.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        // Neither fails on a child that is not yet waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Tells `child` to end.
pub(crate) fn terminate(child: &Child) {
    let pid = i32::try_from(child.id()).expect("process ids are positive");
    kill(Pid::from_raw(pid), Signal::SIGTERM).expect("a child can be signalled");
}
