//! Real runtimes: Docker, podman, and containerd by CRI.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::sync::Arc;

use nix::sys::signal::Signal;
use nsplice_testkit::containerd::{Containerd, HasNetwork};
use nsplice_testkit::engine::{Engine, Kind};
use nsplice_testkit::queue::waiting_beside;
use nsplice_testkit::{wait_until, Program};
use serde_json::{json, Value};

use crate::binary::{end_of, nsplice};
use crate::node::{listed, of, ports};

/// The words of a container's process that listens on its loopback, on IPv4, and on IPv6 as far as there is
/// any.
const LISTENERS: &str = "\
    /bin/busybox httpd -f -p 127.0.0.1:7001 & \
    /bin/busybox httpd -f -p 0.0.0.0:7002 & \
    /bin/busybox httpd -f -p [::1]:7003 & \
    wait";

/// A container of an engine that listens; removed at the end of its scope.
struct Container {
    engine: Arc<Engine>,
    id: String,
    pid: u32,
}

impl Container {
    fn start(engine: &Arc<Engine>, name: &str, options: &[&str]) -> Self {
        let mut args = vec!["run", "--detach", "--name", name, "--stop-signal", "KILL"];
        args.extend(options);
        args.extend([engine.image(), "/bin/busybox", "sh", "-c", LISTENERS]);
        let id = engine.run(args);
        let pid = engine.run(["inspect", "--format", "{{.State.Pid}}", &id]).parse().unwrap();
        let container = Self { engine: engine.clone(), id, pid };
        for address in ["127.0.0.1:7001", "0.0.0.0:7002"] {
            container.wait_for(address);
        }
        container
    }

    fn wait_for(&self, address: &str) {
        let address: SocketAddr = address.parse().unwrap();
        wait_until("a listener", || waiting_beside(self.pid, address).is_some());
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // What is left is stopped with the engine.
        let _ = self.engine.command(["rm", "--force", &self.id]).output();
    }
}

/// `nsplice` on the machine that `engine` stands in for.
fn on(engine: &Engine, line: &str) -> Command {
    // Tests that run side by side share the engine.
    let _ = symlink("/proc", engine.directory().join("proc"));
    let mut command = nsplice(line);
    command.arg("--root").arg(engine.directory());
    command
}

/// The ports but those of IPv6, which a container need not have.
fn ports_of(target: &Value) -> Vec<String> {
    let mut ports = ports(target);
    if let Some(at) = ports.iter().position(|port| port.starts_with("[::1]")) {
        assert_eq!(ports.remove(at), "[::1]:7003 busybox local");
    }
    ports
}

const EXPECTED: [&str; 2] = ["127.0.0.1:7001 busybox local", "0.0.0.0:7002 busybox"];

#[test]
fn containers_of_docker_and_podman_are_listed_with_what_listens_in_them() {
    for (kind, word) in [(Kind::Docker, "docker"), (Kind::Podman, "container")] {
        let Some(engine) = Engine::for_test(kind, "containers_of_docker_and_podman_are_listed")
        else {
            continue;
        };
        let container = Container::start(&engine, "listed", &["--network", "none"]);
        let beside = format!("container:{}", container.id);
        let other = engine.container_with("beside", &["--network", &beside], 7010);
        let end = end_of(&mut on(&engine, "targets --output json"));
        assert_eq!(end.code, 0, "{kind:?}: {end:?}");
        let targets = listed(&end);
        let target = of(&targets, &format!("{word}/listed"));
        assert_eq!(ports_of(target)[..2], EXPECTED, "{kind:?}");
        assert_eq!(ports_of(target).len(), 3, "that of the other one, too");
        let namespace = fs::read_link(format!("/proc/{}/ns/net", container.pid)).unwrap();
        let runtime = if kind == Kind::Docker { "docker" } else { "podman" };
        for (key, value) in [
            ("id", json!(container.id)),
            ("pid", json!(container.pid)),
            ("runtime", json!(runtime)),
            ("network_namespace", json!(namespace.to_str())),
        ] {
            assert_eq!(target[key], value, "{kind:?}: {key}");
        }
        // Two of one network.
        let target = of(&targets, &format!("{word}/{}", other.name()));
        assert_eq!(target["shares"], format!("{word}/listed"), "{kind:?}");
        // The words are taken by other commands, and the port by its address.
        let line = format!("check {word}/listed 7001 --output json");
        let told: Value = serde_json::from_str(&end_of(&mut on(&engine, &line)).stdout).unwrap();
        let setns = &told["backends"][0];
        assert_eq!(setns["connect"]["connected"], true, "{kind:?}: {told:#}");
    }
}

#[test]
fn a_docker_that_is_named_is_enough() {
    let Some(engine) = Engine::for_test(Kind::Docker, "a_docker_that_is_named_is_enough") else {
        return;
    };
    let container = Container::start(&engine, "named-host", &["--network", "none"]);
    let end = end_of(
        nsplice("targets docker/named-host --output json").env("DOCKER_HOST", engine.host()),
    );
    assert_eq!(end.code, 0, "{end:?}");
    let targets = listed(&end);
    let target = of(&targets, "docker/named-host");
    assert_eq!(target["pid"], container.pid);
    assert_eq!(ports_of(target), EXPECTED);
}

#[test]
fn a_container_that_starts_and_stops_is_seen() {
    for (kind, word) in [(Kind::Docker, "docker"), (Kind::Podman, "container")] {
        let Some(engine) = Engine::for_test(kind, "a_container_that_starts_and_stops_is_seen")
        else {
            continue;
        };
        let mut watch = Program::spawn(&mut on(&engine, "targets --watch coming --output json"));
        let container = engine.container("coming");
        let target = format!("\"target\":\"{word}/coming\"");
        let added = watch.expect_stdout("\"added\"");
        assert!(added.contains(&target), "{kind:?}: {added}");
        watch.expect_stdout(&format!("\"port\":{}", nsplice_testkit::engine::ECHO_PORT));
        container.stop();
        let removed = watch.expect_stdout("\"removed\"");
        assert!(removed.contains(&target), "{kind:?}: {removed}");
        container.start();
        watch.expect_stdout_lines("\"added\"", 2);
        watch.signal(Signal::SIGTERM);
        assert_eq!(watch.wait().code(), Some(0), "{kind:?}: {watch}");
    }
}

#[test]
fn a_pod_of_podman_keeps_the_ports_of_its_containers() {
    let Some(engine) = Engine::for_test(Kind::Podman, "a_pod_of_podman_keeps_the_ports") else {
        return;
    };
    let infra = ["--infra-image", engine.image(), "--infra-command", "/bin/sleep 100000"];
    let args =
        ["pod", "create", "--name", "listedpod", "--network", "none"].into_iter().chain(infra);
    engine.run(args);
    let container = engine.container_with("inlistedpod", &["--pod", "listedpod"], 7000);
    let targets = listed(&end_of(&mut on(&engine, "targets listedpod --output json")));
    let pod = of(&targets, "pod/listedpod");
    assert_eq!(ports(pod).len(), 1, "{pod:#}");
    assert!(ports(pod)[0].contains(":7000 busybox"), "{pod:#}");
    let inside = of(&targets, "container/inlistedpod");
    assert_eq!(
        (&inside["shares"], &inside["id"]),
        (&json!("pod/listedpod"), &json!(container.id()))
    );
    engine.run(["pod", "rm", "--force", "--time", "0", "listedpod"]);
}

#[test]
fn pods_of_containerd_are_listed_with_their_addresses_and_what_listens_in_them() {
    let Some(containerd) = Containerd::for_test("pods_of_containerd_are_listed") else { return };
    let pod = containerd.pod("default", "web", HasNetwork::Own);
    let words = [
        "/bin/busybox",
        "sh",
        "-c",
        "\
        /bin/httpd -f -p 127.0.0.1:7001 & /bin/nc -ll -p 7002 -e /bin/cat & \
        /bin/httpd -f -p [::1]:7003 & wait",
    ];
    let app = containerd.container(&pod, "app", &words);
    let node = containerd.pod("kube-system", "proxy", HasNetwork::Node);
    let serving = ["/bin/httpd", "-f", "-p", "127.0.0.1:7005"];
    containerd.container(&node, "main", &serving);
    let root = containerd.root();
    let listing = || {
        let mut command = nsplice("targets --output json");
        let end = end_of(command.arg("--root").arg(&root));
        assert_eq!(end.code, 0, "{end:?}");
        listed(&end)
    };
    let has_all = |targets: &[Value]| {
        let count = |target: &str| of(targets, target)["ports"].as_array().map_or(0, Vec::len);
        count("pod/default/web") >= 3 && count("pod/kube-system/proxy") >= 1
    };
    wait_until("the listeners", || has_all(&listing()));
    let targets = listing();
    let web = of(&targets, "pod/default/web");
    let found = ports(web);
    assert_eq!(found[0], "127.0.0.1:7001 httpd local");
    assert!(found[1].ends_with(":7002 nc"), "{found:?}");
    assert_eq!((&web["id"], &web["runtime"]), (&json!(pod.id), &json!("containerd")));
    let address = web["addresses"][0].as_str().unwrap();
    assert!(address.starts_with("10.213.0."), "{web:#}");
    let inside = of(&targets, "container/app");
    assert_eq!((&inside["shares"], &inside["id"]), (&json!("pod/default/web"), &json!(app)));
    // The node's own ports, containerd's among them, are not the pod's.
    let proxy = of(&targets, "pod/kube-system/proxy");
    assert_eq!(proxy["network"], "host");
    assert_eq!(ports(proxy), ["127.0.0.1:7005 httpd local"]);
    // The name that CNI gave the pod's namespace is none of its own.
    assert!(targets.iter().all(|each| each["kind"] != "netns"), "{targets:#?}");
}
