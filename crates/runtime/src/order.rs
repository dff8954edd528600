//! Which sources there may be on a node, in the order in which they are asked.
//!
//! APIs before directories, for they know what is so now; what names pods before what does not; the
//! processes last.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

use crate::cri::Cri;
use crate::engine::{Engine, Flavour, NotLocal, Standing};
use crate::processes::Processes;
use crate::root::Root;
use crate::source::Source;
use crate::state::State;

/// The sources of a node.
#[derive(Debug)]
pub(crate) struct Sources {
    pub(crate) all: Vec<Source>,
    /// Why Docker is not among them.
    pub(crate) no_docker: Option<NotLocal>,
}

impl Sources {
    /// Those below `root`; Docker where `docker_host` says.
    pub(crate) fn of(root: &Root, docker_host: Option<OsString>) -> Self {
        let mut all: Vec<Source> =
            CRI_SOCKETS.iter().map(|path| Source::Cri(Cri::at(*path))).collect();
        let mut no_docker = None;
        let named = docker_host.is_some();
        match docker_host.map(|host| Engine::of_host(&host)) {
            None => all.extend(
                DOCKER_SOCKETS.iter().map(|path| engine(Flavour::Docker, Standing::Node, *path)),
            ),
            Some(Ok(docker)) => all.push(Source::Engine(docker)),
            Some(Err(error)) => no_docker = Some(error),
        }
        all.extend(
            PODMAN_SOCKETS.iter().map(|path| engine(Flavour::Podman, Standing::Node, *path)),
        );
        for user in users(root) {
            if !named {
                all.push(engine(Flavour::Docker, Standing::User, user.join("docker.sock")));
            }
            all.push(engine(Flavour::Podman, Standing::User, user.join("podman/podman.sock")));
        }
        all.extend(CONTAINERD_STATES.iter().map(|path| Source::State(State::containerd(*path))));
        all.extend(STORAGES.iter().map(|(graph, run)| Source::State(State::storage(*graph, *run))));
        all.extend(own_storage(root).map(|(graph, run)| Source::State(State::storage(graph, run))));
        if !named {
            all.push(Source::State(State::docker(DOCKER_DATA)));
        }
        all.push(Source::Processes(Processes));
        Self { all, no_docker }
    }
}

fn engine(flavour: Flavour, standing: Standing, socket: impl Into<PathBuf>) -> Source {
    Source::Engine(Engine::at(flavour, standing, socket))
}

/// The run-time directories of the users who may have containers of their own: all for root, else ours.
fn users(root: &Root) -> Vec<PathBuf> {
    let directory = Path::new(USERS);
    let own = geteuid();
    let names = root.names(directory, MOST_USERS).unwrap_or_default();
    let is_readable = |name: &String| own.is_root() || *name == own.to_string();
    let mut users: Vec<PathBuf> =
        names.into_iter().filter(is_readable).map(|name| directory.join(name)).collect();
    let told = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    users.extend(told.filter(|told| root.is_own() && told.is_absolute() && !users.contains(told)));
    users
}

/// The storage of our own rootless podman.
fn own_storage(root: &Root) -> Option<(PathBuf, PathBuf)> {
    let home = std::env::var_os("HOME").map(PathBuf::from)?;
    let run = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from)?;
    let rootless = root.is_own() && !geteuid().is_root();
    rootless.then(|| (home.join(".local/share/containers/storage"), run.join("containers")))
}

/// containerd's, that of k3s and rke2, k0s' and MicroK8s'; CRI-O's; cri-dockerd's.
const CRI_SOCKETS: [&str; 6] = [
    "/run/containerd/containerd.sock",
    "/run/k3s/containerd/containerd.sock",
    "/run/k0s/containerd.sock",
    "/var/snap/microk8s/common/run/containerd.sock",
    "/run/crio/crio.sock",
    "/run/cri-dockerd.sock",
];

const DOCKER_SOCKETS: [&str; 1] = ["/var/run/docker.sock"];

const PODMAN_SOCKETS: [&str; 1] = ["/run/podman/podman.sock"];

/// Where users have their run-time directories, by UID.
const USERS: &str = "/run/user";

/// Somebody is logged in for each.
const MOST_USERS: usize = 1000;

/// Those of the same installations as the sockets, and that of the containerd which Docker starts.
const CONTAINERD_STATES: [&str; 5] = [
    "/run/containerd",
    "/run/k3s/containerd",
    "/run/k0s/containerd",
    "/var/snap/microk8s/common/run/containerd",
    "/run/docker/containerd/daemon",
];

const STORAGES: [(&str, &str); 1] = [("/var/lib/containers/storage", "/run/containers/storage")];

const DOCKER_DATA: &str = "/var/lib/docker";
