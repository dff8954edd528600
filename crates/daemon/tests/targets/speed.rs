//! How long a list of many containers takes: printed, not asserted.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Instant;

use nsplice_testkit::Namespace;

use crate::node::{id, listed, Node};

/// As many as a large node has, each with a container.
const PODS: u32 = 250;

/// Sockets in the descriptors of each process.
const DESCRIPTORS: u32 = 40;

#[test]
#[ignore = "prints times, which only a quiet machine tells: run with --release --ignored --nocapture"]
fn a_list_of_five_hundred_containers() {
    let node = Node::bare();
    let mut namespaces = Vec::new();
    let mut listeners = Vec::new();
    for pod in 0..PODS {
        let namespace = Namespace::new().expect("a namespace");
        let (sandbox, container) = (id(&format!("a{pod:04x}")), id(&format!("b{pod:04x}")));
        let (pause, process) = (2 * pod + 5, 2 * pod + 6);
        node.pod(&sandbox, &format!("pod-{pod}"), pause);
        node.container(&container, &sandbox, &format!("pod-{pod}"), &format!("app-{pod}"), process);
        let bound = namespace.inside(|| {
            ["127.0.0.1:5432", "0.0.0.0:80"]
                .map(|address| std::net::TcpListener::bind(address).unwrap())
        });
        for (pid, id) in [(pause, &sandbox), (process, &container)] {
            node.write(
                format!("proc/{pid}/cgroup"),
                format!("0::/kubepods/cri-containerd-{id}.scope\n"),
            );
            let zeros = ["0"; 18].join(" ");
            node.write(format!("proc/{pid}/stat"), format!("{pid} (server) S {zeros} 400 0 0"));
            node.write(format!("proc/{pid}/comm"), "server\n");
            fs::create_dir_all(node.path(format!("proc/{pid}/ns"))).unwrap();
            symlink(namespace.path(), node.path(format!("proc/{pid}/ns/net"))).unwrap();
            fs::create_dir_all(node.path(format!("proc/{pid}/fd"))).unwrap();
            let others = (0..DESCRIPTORS).map(|number| format!("socket:[{number}]"));
            let own = bound.iter().map(|socket| {
                let link = fs::read_link(format!(
                    "/proc/self/fd/{}",
                    std::os::fd::AsRawFd::as_raw_fd(socket)
                ));
                link.unwrap().to_string_lossy().into_owned()
            });
            for (number, link) in others.chain(own).enumerate() {
                symlink(link, node.path(format!("proc/{pid}/fd/{number}"))).unwrap();
            }
        }
        listeners.extend(bound);
        namespaces.push(namespace);
    }
    for line in ["targets --output json", "targets --output json", "targets"] {
        let start = Instant::now();
        let end = node.end(line);
        let taken = start.elapsed();
        assert_eq!((end.code, end.stderr.as_str()), (0, ""));
        println!("{line}: {:.0} ms", taken.as_secs_f64() * 1000.0);
    }
    let all = listed(&node.end("targets --output json"));
    let ports = all.iter().filter_map(|each| each["ports"].as_array()).flatten();
    let known = ports.filter(|port| port["process"]["name"] == "server").count();
    println!("{} targets, {known} ports with their processes", all.len());
    assert_eq!((all.len(), known), (2 * PODS as usize, 2 * PODS as usize));
}
