//! Nodes that are not as they should be.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::thread;

use nsplice_testkit::skip::require_tool;
use nsplice_testkit::Namespace;
use serde_json::{json, Value};

use crate::binary::{end_of, quiet};
use crate::node::{id, listed, of, ports, Listening, Node};

#[test]
fn a_node_with_nothing_is_told_so() {
    let node = Node::bare();
    let told = "there are no pods, containers or named network namespaces\n";
    assert_eq!(node.end("targets"), quiet(0, told));
    let end = node.end("targets --output json");
    assert_eq!(end.code, 0);
    let told: Value = serde_json::from_str(&end.stdout).unwrap();
    assert_eq!(told, json!({ "targets": [], "problems": [] }));
}

#[test]
fn a_root_that_is_none_is_an_error() {
    let end = end_of(&mut crate::binary::nsplice("targets --root /nonexistent"));
    assert_eq!((end.code, end.stdout.as_str()), (1, ""));
    assert!(end.stderr.starts_with("error: cannot look below /nonexistent: "), "{end:?}");
}

#[test]
fn what_runtimes_and_processes_call_themselves_is_escaped() {
    const TEST: &str = "what_runtimes_and_processes_call_themselves_is_escaped";
    let Some(namespace) = Namespace::for_test(TEST) else { return };
    let hostile = "x\u{1b}[2J\n\u{202e}y";
    let Some(_server) = Listening::start(TEST, &namespace, hostile, "0.0.0.0:80") else { return };
    let node = Node::new();
    node.pod(&id("aaaa"), hostile, namespace.pid());
    node.container(&id("bbbb"), &id("aaaa"), hostile, hostile, namespace.pid());
    for line in ["targets aaaa", "targets aaaa --output json"] {
        let end = node.end(line);
        assert_eq!(end.code, 0, "{end:?}");
        let told = end.stdout.clone() + &end.stderr;
        let is_bad = |letter: char| letter.is_control() && letter != '\n' || letter == '\u{202e}';
        assert!(!told.contains(is_bad), "{told:?}");
        assert!(told.contains("[2J"), "{told}");
    }
    assert_eq!(node.end("targets aaaa").stdout.lines().count(), 2, "a heading and a line");
    let targets = node.targets();
    // Nobody could write that name; the ID means it, too.
    let pod = of(&targets, "pod/uid-aaaa0000");
    assert_eq!(pod["name"], hostile);
    assert_eq!(pod["ports"][0]["process"]["name"], hostile);
    assert_eq!(of(&targets, "container/bbbb00000000")["pod"], hostile);
}

#[test]
fn a_runtime_that_is_broken_or_silent_costs_a_line_and_the_exit_code() {
    const TEST: &str = "a_runtime_that_is_broken_or_silent";
    let Some(namespace) = Namespace::for_test(TEST) else { return };
    let node = Node::new();
    node.pod(&id("aaaa"), "web", namespace.pid());
    node.write("run/podman/nothing", "");
    node.write("var/run/nothing", "");
    // One says nothing, the other nonsense that would move a cursor.
    let _silent = UnixListener::bind(node.path("run/podman/podman.sock")).unwrap();
    let docker = UnixListener::bind(node.path("var/run/docker.sock")).unwrap();
    // It ends with the process.
    thread::spawn(move || {
        for client in docker.incoming() {
            let body = "{\"message\":\"no\\u001b[2J\\nerror: x\"}";
            let head = format!("HTTP/1.1 500 X\r\nContent-Length: {}\r\n\r\n", body.len());
            let _ = client.and_then(|mut client| {
                // The question first: who is answered before may not have asked yet.
                let _question = client.read(&mut [0; 4096])?;
                client.write_all((head + body).as_bytes())
            });
        }
    });
    let end = node.end("targets default/web");
    assert!(end.stdout.lines().any(|line| line.starts_with("pod/default/web ")), "{end:?}");
    assert_eq!(end.code, 1);
    let warnings: Vec<&str> = end.stderr.lines().collect();
    let [docker, podman] = warnings.as_slice() else { panic!("{warnings:?}") };
    assert!(
        docker.starts_with("warning: cannot ask Docker at ")
            && docker.contains("status 500: no\\u{1b}[2J\\n"),
        "{docker}"
    );
    assert!(
        podman.starts_with("warning: cannot ask podman at ") && podman.contains("within"),
        "{podman}"
    );
    // Programs are told the same.
    let told: Value = serde_json::from_str(&node.end("targets --output json").stdout).unwrap();
    assert_eq!(told["problems"].as_array().unwrap().len(), 2, "{told}");
}

#[test]
fn a_docker_on_another_machine_is_told() {
    let node = Node::bare();
    let end = end_of(node.command("targets").env("DOCKER_HOST", "tcp://127.0.0.1:2375"));
    assert_eq!(end.code, 2);
    assert!(end.stderr.starts_with("warning: cannot reach Docker at `tcp://"), "{end:?}");
}

#[test]
fn what_is_damaged_costs_its_name_and_nothing_else() {
    let Some(namespace) = Namespace::for_test("what_is_damaged_costs_its_name") else { return };
    let node = Node::new();
    node.pod(&id("aaaa"), "web", namespace.pid());
    node.pod(&id("cccc"), "broken", namespace.pid());
    let tasks = "run/containerd/io.containerd.runtime.v2.task/k8s.io";
    node.write(format!("{tasks}/{}/config.json", id("cccc")), "{\"annotations\": [");
    let targets = node.targets();
    of(&targets, "pod/default/web");
    of(&targets, "container/cccc00000000");
}

/// Pods of the node's network have the ports of their own processes only.
#[test]
fn a_pod_of_the_nodes_network_has_not_all_of_its_ports() {
    const TEST: &str = "a_pod_of_the_nodes_network";
    if require_tool(TEST, "busybox").is_none()
        || !nsplice_testkit::skip::require_root_or_userns(TEST)
    {
        return;
    }
    let ours = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let node = Node::new();
    node.pod(&id("aaaa"), "node", std::process::id());
    let targets = node.targets();
    let pod = of(&targets, "pod/default/node");
    assert_eq!(pod["network"], "host");
    // None of our processes is in a control group of the pod's.
    assert!(pod["ports"].is_null() || ports(pod).is_empty(), "{pod} {ours:?}");
    let end = node.end("targets pod/default/node");
    assert!(end.stdout.trim_end().ends_with("host network"), "{end:?}");
    assert_eq!(listed(&node.end("targets --output json pod/default/node")).len(), 1);
}
