//! Pods and containers by name, as the runtimes' state directories tell of them.

mod common;

use std::fs;
use std::os::unix::fs::symlink;

use common::{counted, expect_echo, failure, open, pool, stream, to, Container, Piped};
use nsplice_backend::{
    look_up, BackendError, Choice, Destination, ErrorKind, Options, Plan, Prospect,
};
use nsplice_relay::OpenClass;
use nsplice_testkit::skip::require_tool;
use nsplice_testkit::{listen, wait_until, Namespace, Server, PATIENCE};

const SANDBOX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const CONTAINER: &str = "fedc456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// A node whose containerd has the pod `default/web` with the container `app`.
#[derive(Debug)]
struct Node {
    root: tempfile::TempDir,
}

impl Node {
    /// The pod's first process is `pid`, the container's `app`.
    fn new(pid: u32, app: u32) -> Self {
        let root = tempfile::tempdir().expect("a directory");
        symlink("/proc", root.path().join("proc")).expect("a link");
        let node = Self { root };
        node.bundle(SANDBOX, r#""io.kubernetes.cri.container-type": "sandbox""#);
        let container = r#""io.kubernetes.cri.container-type": "container",
            "io.kubernetes.cri.container-name": "app""#;
        node.bundle(CONTAINER, container);
        node.runs(SANDBOX, pid);
        node.runs(CONTAINER, app);
        node
    }

    fn bundle(&self, id: &str, annotations: &str) {
        let config = format!(
            r#"{{"annotations": {{{annotations}, "io.kubernetes.cri.sandbox-id": "{SANDBOX}",
            "io.kubernetes.cri.sandbox-name": "web", "io.kubernetes.cri.sandbox-namespace": "default"}}}}"#
        );
        self.write(&format!("{TASKS}/{id}/config.json"), &config);
    }

    /// Writes down that the process of `id` is `pid`.
    fn runs(&self, id: &str, pid: u32) {
        self.write(&format!("{TASKS}/{id}/init.pid"), &pid.to_string());
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.root.path().join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("make a directory");
        fs::write(path, text).expect("write a file");
    }

    fn plan(&self, target: &str, port: u16, choice: Choice) -> Result<Plan, BackendError> {
        Plan::prepare(&to(target, port), choice, &self.options(), pool())
    }

    /// A plan for the host `host` of `target`.
    fn plan_behind(&self, target: &str, host: &str, port: u16) -> Plan {
        let destination = Destination { host: host.parse().expect("a host"), ..to(target, port) };
        let plan = Plan::prepare(&destination, Choice::Auto, &self.options(), pool());
        plan.unwrap_or_else(|error| panic!("{target}: {error}"))
    }

    fn options(&self) -> Options {
        Options { root: Some(self.root.path().to_owned()), ..Options::default() }
    }
}

const TASKS: &str = "run/containerd/io.containerd.runtime.v2.task/k8s.io";

#[test]
fn a_pod_and_its_container_are_reached_and_followed() {
    counted(|| {
        let Some(mut namespace) = Namespace::for_test("a_pod_and_its_container") else { return };
        if require_tool("a_pod_and_its_container", "socat").is_none() {
            return;
        }
        let node = Node::new(namespace.pid(), namespace.pid());
        let server = Server::in_namespace(&namespace, "127.0.0.1:0", common::echo);
        let port = server.port();
        let targets = ["pod/web", "pod/default/web", "container/app", "web", "app"];
        let id = format!("container/{}", &CONTAINER[..12]);
        let plans = targets.into_iter().chain([id.as_str()]).map(|target| {
            let plan = node.plan(target, port, Choice::Auto);
            plan.unwrap_or_else(|error| panic!("{target}: {error}"))
        });
        let mut openers: Vec<_> = plans
            .map(|plan| {
                let identity = plan.identity().unwrap();
                assert_eq!((identity.device, identity.inode), namespace.identity());
                assert_eq!(plan.backend(), "setns");
                plan.opener().unwrap()
            })
            .collect();
        openers.iter_mut().for_each(|opener| expect_echo(&stream(opener.as_mut())));
        let external = node.plan("pod/web", port, Choice::External).unwrap();
        let mut external = external.opener().unwrap();
        let piped = Piped::open(external.as_mut());
        piped.say("hello\n");
        assert_eq!(piped.line(), "hello");
        drop((piped, server));

        // Gone: whoever asks is told so.
        namespace.remove();
        for opener in &mut openers {
            let error = failure(opener.as_mut());
            assert_eq!(error.class, OpenClass::TargetGone, "{error:?}");
            assert!(error.detail.contains("not running"), "{}", error.detail);
        }

        // There again: another process, another namespace, the same openers.
        namespace.restart().unwrap();
        for id in [SANDBOX, CONTAINER] {
            node.runs(id, namespace.pid());
        }
        let address = format!("127.0.0.1:{port}");
        let _server = Server::in_namespace(&namespace, &address, common::echo);
        for opener in &mut openers {
            wait_until("it to be found", || open(opener.as_mut()).is_ok());
            expect_echo(&stream(opener.as_mut()));
        }
    });
}

/// Nothing is looked for before a link wants it, and then it is one question for all.
#[test]
fn a_prospect_finds_what_came_meanwhile() {
    counted(|| {
        let ourselves = std::process::id();
        let node = Node::new(ourselves, ourselves);
        let server = Server::start(listen("127.0.0.1:0"), common::echo);
        let destination = to("pod/late", server.port());
        let prospect = Prospect::new(&destination, Choice::Auto, &node.options(), pool());
        let mut opener = prospect.opener();
        let error = failure(opener.as_mut());
        assert_eq!(error.class, OpenClass::TargetGone, "{error:?}");
        let config = r#"{"annotations": {"io.kubernetes.cri.container-type": "sandbox",
            "io.kubernetes.cri.sandbox-name": "late", "io.kubernetes.cri.sandbox-namespace": "default"}}"#;
        let id = "aa".repeat(32);
        node.write(&format!("{TASKS}/{id}/config.json"), config);
        node.runs(&id, ourselves);
        expect_echo(&stream(opener.as_mut()));
        expect_echo(&stream(prospect.opener().as_mut()));
    });
}

#[test]
fn what_no_runtime_knows_is_no_target() {
    counted(|| {
        let ourselves = std::process::id();
        let node = Node::new(ourselves, ourselves);
        let error = node.plan("pod/wbe", 80, Choice::Auto).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoSuchTarget);
        let told = error.to_string();
        assert!(
            told.contains("(did you mean `pod/default/web`?); searched containerd's state"),
            "{told}"
        );
        let error = node.plan("docker/app", 80, Choice::Auto).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoSuchTarget, "{error}");
        let nowhere = Options { root: Some("/nonexistent".into()), ..Options::default() };
        let error = Plan::prepare(&to("pod/web", 80), Choice::Auto, &nowhere, pool()).unwrap_err();
        assert!(error.to_string().contains("/nonexistent"), "{error}");
    });
}

/// It has the namespace that we have ourselves: nothing is entered, nothing need be permitted.
#[test]
fn a_pod_of_the_hosts_network_is_dialled_plainly() {
    counted(|| {
        let ourselves = std::process::id();
        let node = Node::new(ourselves, ourselves);
        let server = Server::start(listen("127.0.0.1:0"), common::echo);
        let plan = node.plan("pod/web", server.port(), Choice::Auto).unwrap();
        expect_echo(&stream(plan.opener().unwrap().as_mut()));
    });
}

/// The files of its sandbox are not those that the kubelet writes for it.
#[test]
fn names_of_a_pod_are_those_of_a_container_of_it() {
    const TEST: &str = "names_of_a_pod_are_those_of_a_container_of_it";
    counted(|| {
        let Some(namespace) = Namespace::for_test(TEST) else { return };
        let hosts = |address: &str| format!("{address} db.internal\n");
        let first = Container::new(TEST, &namespace, &[("hosts", &hosts("127.0.0.1"))]);
        let Some(mut first) = first else { return };
        let node = Node::new(namespace.pid(), first.pid());
        let before = Server::in_namespace(&namespace, "127.0.0.1:0", common::echo);
        let openers = ["pod/web", "container/app", "web"]
            .map(|target| node.plan_behind(target, "db.internal", before.port()).opener().unwrap());
        let mut openers = Vec::from(openers);
        openers.iter_mut().for_each(|opener| expect_echo(&stream(opener.as_mut())));
        assert_eq!(before.accepted(), 3);

        // The container is started anew, with other files, and its pod lives on.
        first.kill();
        let error = failure(openers[0].as_mut());
        let told = "cannot resolve db.internal in pod/web: ";
        assert!(error.detail.starts_with(told), "{error}");
        let second = Container::new(TEST, &namespace, &[("hosts", &hosts("127.0.0.2"))]).unwrap();
        node.runs(CONTAINER, second.pid());
        let after = format!("127.0.0.2:{}", before.port());
        let after = Server::in_namespace(&namespace, &after, common::echo);
        openers.iter_mut().for_each(|opener| expect_echo(&stream(opener.as_mut())));
        assert_eq!((before.accepted(), after.accepted()), (3, 3));
    });
}

/// As in a container that sees the node's root and processes, and has numbers of its own for them.
#[test]
fn names_of_a_pod_are_known_where_its_processes_have_other_numbers() {
    const TEST: &str = "names_of_a_pod_are_known_where_its_processes_have_other_numbers";
    counted(|| {
        let Some(namespace) = Namespace::for_test(TEST) else { return };
        let hosts = [("hosts", "127.0.0.1 db.internal\n")];
        let Some(mut container) = Container::new(TEST, &namespace, &hosts) else { return };
        let node = Node::new(7, 8);
        let proc = node.root.path().join("proc");
        fs::remove_file(&proc).unwrap();
        fs::create_dir(&proc).unwrap();
        for (number, pid) in [("7", namespace.pid()), ("8", container.pid())] {
            symlink(format!("/proc/{pid}"), proc.join(number)).unwrap();
        }
        let server = Server::in_namespace(&namespace, "127.0.0.1:0", common::echo);
        let mut opener =
            node.plan_behind("pod/web", "db.internal", server.port()).opener().unwrap();
        expect_echo(&stream(opener.as_mut()));
        container.kill();
        let told = failure(opener.as_mut()).detail;
        let start = "cannot resolve db.internal in pod/web: ";
        assert!(told.starts_with(start) && told.contains("/etc/resolv.conf"), "{told}");
    });
}

/// Kata's and gVisor's pods have no namespace that would lead to their sockets.
/// A server that listens at the pod's own address only, from inside: nobody else has a way there.
#[test]
fn the_own_address_of_a_pod_is_tried_after_localhost_if_that_is_asked_for() {
    const OWN: &str = "10.213.77.5";
    counted(|| {
        let Some(namespace) = Namespace::for_test("the_own_address_of_a_pod") else { return };
        let node = Node::new(namespace.pid(), namespace.pid());
        let result = format!(r#"{{"cniVersion": "1.0.0", "ips": [{{"address": "{OWN}/24"}}]}}"#);
        node.write(&format!("var/lib/cni/results/net-{SANDBOX}-eth0"), &result);
        let address = ["addr", "add", &format!("{OWN}/32"), "dev", "lo"].map(str::to_owned);
        let added = namespace.inside(|| std::process::Command::new("ip").args(&address).status());
        assert!(added.unwrap().success());
        let own = Server::in_namespace(&namespace, &format!("{OWN}:0"), common::echo);
        let port = own.port();
        let pod_ip = Options { pod_ip: true, ..node.options() };
        let plan = |target: &str, choice| Plan::prepare(&to(target, port), choice, &pod_ip, pool());
        let without = node.plan("pod/web", port, Choice::Setns).unwrap();
        let refused = failure(without.opener().unwrap().as_mut());
        assert_eq!(refused.class, OpenClass::Refused, "{refused}");
        for target in ["pod/web", "container/app"] {
            let plan = plan(target, Choice::Auto).unwrap();
            assert_eq!(plan.backend(), "setns");
            expect_echo(&stream(plan.opener().unwrap().as_mut()));
        }
        assert_eq!(own.accepted(), 2);
        // Whoever listens on localhost as well is the one that is meant.
        let local = Server::in_namespace(&namespace, &format!("127.0.0.1:{port}"), common::echo);
        let with = plan("pod/web", Choice::Setns).unwrap();
        expect_echo(&stream(with.opener().unwrap().as_mut()));
        assert_eq!((local.accepted(), own.accepted()), (1, 2));
        for (target, choice, words) in [
            (
                format!("pid/{}", namespace.pid()),
                Choice::Auto,
                "no address that a container runtime",
            ),
            ("pod/web".to_owned(), Choice::External, "by the backend setns only"),
        ] {
            let error = plan(&target, choice).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage);
            assert!(error.to_string().contains(words), "{error}");
        }
        let elsewhere = Destination { host: "10.1.1.1".parse().unwrap(), ..to("pod/web", port) };
        let error = Plan::prepare(&elsewhere, Choice::Auto, &pod_ip, pool()).unwrap_err();
        assert!(error.to_string().contains("not after 10.1.1.1"), "{error}");
    });
}

#[test]
fn a_sandboxed_pod_is_dialled_at_its_address() {
    counted(|| {
        if require_tool("a_sandboxed_pod_is_dialled_at_its_address", "socat").is_none()
            || require_tool("a_sandboxed_pod_is_dialled_at_its_address", "nsenter").is_none()
        {
            return;
        }
        let node = Node::new(1, 1);
        let userdata =
            format!("run/containers/storage/overlay-containers/{}/userdata", "77".repeat(32));
        let config = r#"{"annotations": {"io.kubernetes.cri-o.ContainerType": "sandbox",
            "io.kubernetes.cri-o.KubeName": "vm", "io.kubernetes.cri-o.Namespace": "default",
            "io.kubernetes.cri-o.RuntimeHandler": "kata", "io.kubernetes.cri-o.IP.0": "127.0.0.3"},
            "linux": {"namespaces": [{"type": "network", "path": "/run/netns/no-such"}]}}"#;
        node.write(&format!("{userdata}/config.json"), config);
        node.write(&format!("{userdata}/pidfile"), &std::process::id().to_string());
        let server = Server::start(listen("127.0.0.3:0"), common::echo);
        // Its files are in the sandbox as well, and the node's say nothing of its names.
        let error = look_up(&"pod/vm".parse().unwrap(), &node.options(), "localhost", PATIENCE);
        let told = error.unwrap_err().to_string();
        assert!(
            told.starts_with("cannot see the files of pod/vm: none of its processes"),
            "{told}"
        );
        let plan = node.plan("pod/vm", server.port(), Choice::Auto).unwrap();
        expect_echo(&stream(plan.opener().unwrap().as_mut()));
        let named = node.plan_behind("pod/vm", "db.internal", server.port());
        let error = failure(named.opener().unwrap().as_mut());
        let told =
            "cannot connect to db.internal in pod/vm: its runtime keeps its network to itself";
        assert!(error.detail.starts_with(told), "{error}");
        let external = node.plan("pod/vm", server.port(), Choice::External).unwrap();
        let piped = Piped::open(external.opener().unwrap().as_mut());
        piped.say("hello\n");
        assert_eq!(piped.line(), "hello");
    });
}
