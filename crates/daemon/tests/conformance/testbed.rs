//! What a case is played on.
//!
//! The node is a namespace of its own, so that the ports, routes and timers of one case are nobody
//! else's. For the backend `dial`, which connects from where nsplice is, node and container are one.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use nsplice_backend::Choice;
use nsplice_compare::Subject;
use nsplice_testkit::namespace::own_names;
use nsplice_testkit::skip::require_tool;
use nsplice_testkit::{knock, process, wait_until, Namespace, Program, Server};

use crate::{Daemon, Difference};

/// How the upstreams are opened, and the bytes moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backend {
    /// In-process, with splice.
    Setns,
    /// In-process, copying only.
    NoSplice,
    /// The real nsenter and the real socat.
    External,
    /// A plain connect.
    Dial,
}

impl Backend {
    /// The word for it on command lines and in logs.
    pub(crate) fn word(self) -> &'static str {
        self.choice().as_str()
    }

    /// Its name to the backends.
    fn choice(self) -> Choice {
        match self {
            Self::Setns | Self::NoSplice => Choice::Setns,
            Self::External => Choice::External,
            Self::Dial => Choice::Dial,
        }
    }

    /// It as a subject of a comparison.
    pub(crate) fn subject(self) -> Subject {
        match self {
            Self::NoSplice => Subject::setns_copy(),
            _ => Subject::backend(self.choice()),
        }
    }

    /// Whether it may splice.
    pub(crate) fn splices(self) -> bool {
        self != Self::NoSplice
    }

    /// Whether a program carries the bytes.
    pub(crate) fn has_child(self) -> bool {
        self == Self::External
    }
}

/// A node and a container, and the backend between them.
#[derive(Debug)]
pub(crate) struct Testbed {
    pub(crate) backend: Backend,
    node: Namespace,
    container: Option<Namespace>,
}

impl Testbed {
    /// Plays `case` for the test `name`, and sees that nothing is left behind. Says so if that
    /// cannot be done here.
    pub(crate) fn play(name: &str, backend: Backend, case: impl FnOnce(&Self)) {
        let tools: &[&str] = if backend.has_child() { &["nsenter", "socat"] } else { &[] };
        if !tools.iter().all(|tool| require_tool(name, tool).is_some()) {
            return;
        }
        let Some(node) = Namespace::for_test(name) else { return };
        let container =
            (backend != Backend::Dial).then(|| Namespace::new().expect("another namespace"));
        let testbed = Self { backend, node, container };
        case(&testbed);
        testbed.strike();
    }

    /// Where nsplice runs and clients are.
    pub(crate) fn node(&self) -> &Namespace {
        &self.node
    }

    /// Where the servers are.
    pub(crate) fn container(&self) -> &Namespace {
        self.container.as_ref().unwrap_or(&self.node)
    }

    /// The container as nsplice is told of it.
    pub(crate) fn target(&self) -> String {
        match &self.container {
            Some(container) => format!("pid/{}", container.pid()),
            None => "tcp/127.0.0.1".to_owned(),
        }
    }

    /// What follows `nsplice forward` or `nsplice connect` to reach the container by this backend.
    pub(crate) fn target_words(&self) -> String {
        let copying = if self.backend.splices() { "" } else { " --no-splice" };
        format!("--backend {}{copying} {}", self.backend.word(), self.target())
    }

    /// Whether the backend differs from the others in this.
    pub(crate) fn differs(&self, difference: Difference) -> bool {
        difference.is_of(self.backend.choice())
    }

    /// Runs `script` for each connection to a port of the container's 127.0.0.1.
    pub(crate) fn serve<T: Send + 'static>(
        &self,
        script: impl Fn(TcpStream) -> T + Send + Sync + 'static,
    ) -> Server<T> {
        Server::in_namespace(self.container(), "127.0.0.1:0", script)
    }

    /// A daemon that forwards to `port` of the container.
    pub(crate) fn daemon(&self, port: u16) -> Daemon<'_> {
        Daemon::new(self, port)
    }

    /// Starts a program on the node.
    pub(crate) fn start(&self, command: &mut Command) -> Program {
        self.node.inside(|| Program::spawn(command))
    }

    /// Connects on the node to somebody who may reset at once.
    pub(crate) fn connect(&self, address: SocketAddr) -> TcpStream {
        self.node.inside(|| knock(address))
    }

    /// Sees that nobody is left but those who keep the namespaces, and takes these away.
    fn strike(mut self) {
        for namespace in [Some(&mut self.node), self.container.as_mut()].into_iter().flatten() {
            namespace.kill_holder();
            let Ok(file) = fs::metadata(namespace.path()) else { continue };
            let identity = (file.dev(), file.ino());
            wait_until("everyone to have left the namespace", || inhabitants(identity).is_empty());
        }
        let names = [Some(&self.node), self.container.as_ref()];
        let names: Vec<_> = names.into_iter().flatten().map(|n| n.name().to_owned()).collect();
        drop(self);
        assert!(own_names().iter().all(|name| !names.contains(name)), "a name is left");
    }
}

/// The processes in the network namespace with this device and inode. One that has ended and was
/// not waited for is in none.
pub(crate) fn inhabitants(identity: (u64, u64)) -> Vec<u32> {
    let is_inside = |pid: &u32| {
        let namespace = fs::metadata(format!("/proc/{pid}/ns/net"));
        namespace.is_ok_and(|file| (file.dev(), file.ino()) == identity)
    };
    process::all().expect("/proc").iter().map(|one| one.pid).filter(is_inside).collect()
}

/// The children of a process, ended ones included.
pub(crate) fn children_of(parent: u32) -> Vec<u32> {
    process::children(parent).expect("/proc").iter().map(|child| child.pid).collect()
}

/// Whether there is a process of this number that has not ended.
pub(crate) fn is_alive(pid: u32) -> bool {
    process::Stat::of(pid).is_ok_and(|stat| !stat.has_ended())
}
