//! Scripted runtimes: what a good one says, in messages of CRI, and a place to say it.

use std::fs;
use std::path::{Path, PathBuf};

use nsplice_testkit::grpc::{GrpcServer, Reply};

use crate::cri::Cri;
use crate::protobuf::Writer;
use crate::root::Root;
use crate::sighting::Sighting;
use crate::source::SourceError;
use crate::wanted::Wanted;

/// A socket below a root of its own, where a scripted runtime answers.
pub(super) struct Scene {
    pub(super) directory: tempfile::TempDir,
    pub(super) cri: Cri,
    pub(super) root: Root,
}

pub(super) const SOCKET: &str = "/run/containerd/containerd.sock";

impl Scene {
    pub(super) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::at(directory.path()).unwrap();
        fs::create_dir_all(root.shown(Path::new("/run/containerd"))).unwrap();
        Self { directory, cri: Cri::at(SOCKET), root }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.root.shown(Path::new(SOCKET))
    }

    pub(super) fn serve(
        &self,
        script: impl Fn(&str, &[u8]) -> Reply + Send + Sync + 'static,
    ) -> GrpcServer {
        GrpcServer::start(&self.path(), script).unwrap()
    }

    /// What is said of a pod `web` by a runtime that does `reply` to this method, and else what a
    /// good one does.
    pub(super) fn told(&self, method: &'static str, reply: Reply) -> String {
        let script = move |asked: &str, message: &[u8]| {
            if asked.ends_with(&format!("/{method}")) {
                reply.clone()
            } else {
                containerd(asked, message)
            }
        };
        let server = self.serve(script);
        let error = self.find(&pod(None, "web")).unwrap_err();
        drop(server);
        fs::remove_file(self.path()).unwrap();
        match error {
            SourceError::Failed(told) => told,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn find(&self, wanted: &Wanted) -> Result<Vec<Sighting>, SourceError> {
        self.cri.find(&self.root, wanted)
    }
}

pub(super) fn pod(namespace: Option<&str>, name: &str) -> Wanted {
    let (namespace, name) = (namespace.map(str::to_owned), name.to_owned());
    Wanted::Pod { namespace, name }
}

pub(super) fn ids(seen: &[Sighting]) -> Vec<&str> {
    seen.iter().map(|one| one.id.as_str()).collect()
}

pub(super) fn version(name: &str) -> Reply {
    let version = Writer::new().text(1, "0.1.0").text(2, name).text(3, "1.6.20").text(4, "v1");
    Reply::Message(version.finish())
}

pub(super) fn sandbox(id: &str, names: [&str; 3], state: u32, created: u64) -> Writer {
    let [name, uid, namespace] = names;
    let metadata = Writer::new().text(1, name).text(2, uid).text(3, namespace).number(4, 7u32);
    let pod = Writer::new().text(1, id).message(2, metadata).number(3, state).number(4, created);
    pod.map_entry(5, "app", name).map_entry(6, "an", "notation")
}

pub(super) fn container(id: &str, sandbox: &str, name: &str, state: u32) -> Writer {
    let metadata = Writer::new().text(1, name);
    let container = Writer::new().text(1, id).text(2, sandbox).message(3, metadata);
    container.text(5, "sha256:0").number(6, state).number(7, 9u32)
}

/// Answers of lists, whose items are the field 1.
pub(super) fn list(items: impl IntoIterator<Item = Writer>) -> Reply {
    Reply::Message(items.into_iter().fold(Writer::new(), |all, item| all.message(1, item)).finish())
}

/// The status of a sandbox, or a container, that says nothing but this in its info.
pub(super) fn bare_status(text: &str) -> Reply {
    let response = Writer::new().message(1, Writer::new());
    Reply::Message(response.map_entry(2, "info", text).finish())
}

/// The status of a sandbox with two addresses and this mode of its network.
pub(super) fn sandbox_status(mode: u32, text: &str) -> Reply {
    let additional = Writer::new().text(1, "fd00::7");
    let network = Writer::new().text(1, "10.0.0.7").message(2, additional);
    let options = Writer::new().number(1, mode);
    let linux = Writer::new().message(1, Writer::new().message(2, options));
    let status = Writer::new().text(1, "ignored").message(5, network).message(6, linux);
    let response = Writer::new().message(1, status);
    Reply::Message(response.map_entry(2, "other", "x").map_entry(2, "info", text).finish())
}

pub(super) const NETNS: &str = "/run/netns/cni-1";

pub(super) fn spec(pid: u32) -> String {
    format!(
        r#"{{"pid":{pid},"runtimeSpec":{{"linux":{{"namespaces":[{{"type":"network","path":"{NETNS}"}}]}}}}}}"#
    )
}

/// What containerd says: a pod `web` that was started anew, one of the node's network, one that is
/// nobody else's.
pub(super) fn containerd(method: &str, message: &[u8]) -> Reply {
    let method = method.strip_prefix("/runtime.v1.RuntimeService/");
    let asks_for = |id: &str| message.windows(id.len()).any(|bytes| bytes == id.as_bytes());
    let sandboxes = [
        sandbox("aaaa1111", ["web", "uid-1", "default"], 1, 1_000),
        sandbox("aaaa2222", ["web", "uid-1", "default"], 0, 2_000_000_000).text(7, "runc"),
        sandbox("bbbb1111", ["node", "uid-2", "kube-system"], 0, 1),
        sandbox("cccc1111", ["web", "uid-3", "other"], 0, 1),
    ];
    let containers = [
        container("dddd1111", "aaaa2222", "app", 1),
        container("dddd2222", "aaaa2222", "init", 2),
        container("eeee1111", "bbbb1111", "app", 1),
    ];
    match method {
        Some("Version") => version("containerd"),
        // As filters by labels do where nothing has any.
        Some("ListPodSandbox") if asks_for("io.kubernetes.pod.name") => list([]),
        Some("ListPodSandbox") if asks_for("aaaa2222") => {
            list(sandboxes.into_iter().skip(1).take(1))
        }
        Some("ListPodSandbox") => list(sandboxes),
        Some("ListContainers") if asks_for("aaaa2222") => list(containers.into_iter().take(2)),
        Some("ListContainers") if asks_for("cccc1111") => list([]),
        Some("ListContainers") if asks_for("dddd1111") => list(containers.into_iter().take(1)),
        Some("ListContainers") => list(containers),
        Some("PodSandboxStatus") if asks_for("aaaa2222") => sandbox_status(0, &spec(4711)),
        Some("PodSandboxStatus") if asks_for("bbbb1111") => sandbox_status(2, r#"{"pid":12}"#),
        Some("PodSandboxStatus") if asks_for("cccc1111") => sandbox_status(0, &spec(4713)),
        Some("ContainerStatus") if asks_for("dddd1111") => {
            let spec = spec(4712).replace(NETNS, "/proc/4711/ns/net");
            bare_status(&spec)
        }
        _ => Reply::Status(5, "an error occurred when try to find it: not found"),
    }
}
