//! How long a look-up takes among many containers: printed, not asserted.

use std::time::Instant;

use crate::node::{wanted, Node};

/// As many as a large node has.
const PODS: u32 = 250;

/// The cgroup of the container `id`.
fn cgroup(id: &str) -> String {
    format!("0::/kubepods.slice/kubepods-burstable.slice/cri-containerd-{id}.scope\n")
}

#[test]
#[ignore = "prints times, which only a quiet machine tells: run with --release --ignored --nocapture"]
fn a_look_up_among_five_hundred_containers() {
    let node = Node::empty();
    let tasks = "run/containerd/io.containerd.runtime.v2.task/k8s.io";
    // As large as a config is with the seccomp rules and mounts of a real one.
    let ballast: Vec<String> =
        (0..400).map(|number| format!("/var/lib/mount/{number:032}")).collect();
    for pod in 0..PODS {
        let sandbox = format!("{pod:064x}");
        for (number, kind) in [(2 * pod, "sandbox"), (2 * pod + 1, "container")] {
            let id = if kind == "sandbox" { sandbox.clone() } else { format!("f{pod:063x}") };
            let config = serde_json::json!({
                "ociVersion": "1.1.0",
                "mounts": ballast,
                "annotations": {
                    "io.kubernetes.cri.container-type": kind,
                    "io.kubernetes.cri.container-name": format!("app-{pod}"),
                    "io.kubernetes.cri.sandbox-id": sandbox,
                    "io.kubernetes.cri.sandbox-name": format!("pod-{pod}"),
                    "io.kubernetes.cri.sandbox-namespace": "default",
                },
                "linux": { "namespaces": [{ "type": "network", "path": "/run/netns/cni-x" }] },
            });
            node.write(format!("{tasks}/{id}/config.json"), config.to_string());
            node.write(format!("{tasks}/{id}/init.pid"), (number + 5).to_string());
            node.process(number + 5, &cgroup(&id));
        }
    }
    let directory = node.directory();
    let time = |words: &str| {
        let start = Instant::now();
        let found = directory.find(&wanted(words)).unwrap();
        let taken = start.elapsed();
        println!("{words}: {:.2} ms ({})", taken.as_secs_f64() * 1000.0, &found.id[..12]);
    };
    for words in ["pod/pod-249", "pod/pod-249", "pod/pod-7", "container/app-100", "app-100"] {
        time(words);
    }
    let start = Instant::now();
    let seen = directory.list().seen.len();
    println!("{seen} listed in {:.2} ms", start.elapsed().as_secs_f64() * 1000.0);
}
