//! Pods and containers found by what runtimes keep on disk and by control groups, in the layout of each.

use std::fs;

use crate::node::Node;
use nsplice_runtime::{Place, Runtime, Why};

/// Each layout with a cgroup version and a driver.
const KUBERNETES: [(&str, Runtime); 6] = [
    ("containerd", Runtime::Containerd),
    ("k3s", Runtime::Containerd),
    ("rke2", Runtime::Containerd),
    ("cri-o", Runtime::Crio),
    ("cri-dockerd", Runtime::Docker),
    ("cri-dockerd-v1", Runtime::Docker),
];

#[test]
fn a_pod_is_found_on_every_kind_of_node() {
    for (layout, runtime) in KUBERNETES {
        let node = Node::of(layout);
        let found =
            node.find("pod/default/web").unwrap_or_else(|error| panic!("{layout}: {error}"));
        let labels = &found.labels;
        assert_eq!(labels.pod.as_deref(), Some("web"), "{layout}");
        assert_eq!(labels.namespace.as_deref(), Some("default"), "{layout}");
        assert_eq!(labels.uid.as_deref().map(str::len), Some(36), "{layout}: {labels:?}");
        assert_eq!(labels.runtime, Some(runtime), "{layout}");
        let uid = labels.uid.clone().unwrap();
        let cgroup = node.path(format!("proc/{}/cgroup", node.pid("pod/default/web")));
        let cgroup = fs::read_to_string(cgroup).unwrap();
        assert!(cgroup.contains(&uid) || cgroup.contains(&uid.replace('-', "_")), "{layout}");
        assert!(found.is_alive(), "{layout}");
        // By its UID, which is in the control group of every container as well.
        assert_eq!(node.find(&format!("pod/{uid}")).unwrap().id, found.id, "{layout}");
    }
}

#[test]
fn a_container_is_found_by_name_by_id_and_by_the_beginning_of_its_id() {
    for (layout, container) in [
        ("containerd", "sidecar"),
        ("k3s", "sidecar"),
        ("rke2", "sidecar"),
        ("cri-o", "app"),
        ("cri-dockerd", "app"),
        ("podman", "web"),
        ("podman", "inpod"),
        ("podman", "undelegated"),
    ] {
        let node = Node::of(layout);
        let by_name = node.find(&format!("container/{container}"));
        let by_name = by_name.unwrap_or_else(|error| panic!("{layout}: {error}"));
        assert_eq!(by_name.labels.container.as_deref(), Some(container), "{layout}");
        let pid = node.pid(&format!("container/{container}"));
        for id in [by_name.id.as_str(), &by_name.id[..12]] {
            assert_eq!(node.pid(&format!("container/{id}")), pid, "{layout}");
        }
        assert_eq!(node.pid(container), pid, "{layout}: the bare name");
        let cgroup = fs::read_to_string(node.path(format!("proc/{pid}/cgroup"))).unwrap();
        assert!(cgroup.contains(&by_name.id) || container == "undelegated", "{layout}");
    }
}

#[test]
fn without_any_state_the_control_groups_know_the_id() {
    for (layout, runtime) in KUBERNETES {
        let node = Node::of(layout);
        let wanted =
            if runtime == Runtime::Crio { "container/postgres" } else { "pod/default/web" };
        let (known, pid) = (node.find(wanted).unwrap(), node.pid(wanted));
        for state in ["run", "var"] {
            let _ = fs::remove_dir_all(node.path(state));
        }
        let found = node.find(&format!("container/{}", &known.id[..16])).unwrap();
        assert_eq!((found.id, found.labels.uid), (known.id.clone(), known.labels.uid), "{layout}");
        assert_eq!(node.pid(&format!("container/{}", known.id)), pid, "{layout}");
        assert!(node.find(wanted).unwrap_err().is_missing(), "{layout}: no names in there");
    }
}

#[test]
fn names_that_several_go_by_are_told_with_all_of_them() {
    let node = Node::of("containerd");
    let told = node.find("pod/web").unwrap_err().to_string();
    assert_eq!(
        told,
        "pod/web: several go by that name; write one of pod/default/web, pod/prod/web"
    );
    assert_eq!(node.find("web").unwrap_err().to_string(), told.replace("pod/web:", "web:"));
    let why = node.find("container/app").unwrap_err().why;
    let Why::Ambiguous { candidates } = &why else { panic!("{why:?}") };
    assert_eq!(candidates.len(), 2);
    for candidate in candidates {
        let (words, of) = candidate.split_once(' ').unwrap();
        assert!(["(of pod/default/web)", "(of pod/prod/web)"].contains(&of), "{candidate}");
        assert!(node.find(words).is_ok(), "{words}");
    }
    assert_ne!(node.pid("pod/default/web"), node.pid("pod/prod/web"));
}

#[test]
fn what_is_not_there_is_told_with_what_is_nearly_called_so_and_who_was_asked() {
    let node = Node::of("cri-dockerd");
    let told = node.find("pod/wbe").unwrap_err().to_string();
    assert!(
        told.starts_with("pod/wbe: no such pod: wbe (did you mean `pod/default/web`?)"),
        "{told}"
    );
    assert!(told.contains("Docker's state at ") && told.contains("/var/lib/docker (6)"), "{told}");
    assert!(!told.contains("CRI"), "who is not there was not asked: {told}");
    let told = node.find("docker/plian").unwrap_err().to_string();
    assert!(
        told.starts_with("docker/plian: no such container: plian (did you mean `docker/plain`?)")
    );
    let told = node.find("docker/stopped").unwrap_err().to_string();
    assert!(told.starts_with("docker/stopped: container not running ("), "{told}");
    let told = Node::empty().find("nothing").unwrap_err().to_string();
    assert_eq!(
        told,
        "nothing: no such pod or container: nothing; no container runtime was found on this node"
    );
}

#[test]
fn a_pid_that_is_somebody_elses_is_not_taken() {
    for (layout, _) in KUBERNETES {
        let node = Node::of(layout);
        let pid = node.pid("pod/default/web");
        let other = format!("0::/kubepods/pod{}/{}", "0".repeat(36), "0123".repeat(16));
        node.process(pid, &other);
        let answer = node.find("pod/default/web");
        // Another container of the pod may be the way in; it is its own process then.
        match answer {
            Ok(_) => assert_ne!(node.pid("pod/default/web"), pid, "{layout}"),
            Err(error) => assert!(matches!(error.why, Why::Stopped { .. }), "{layout}: {error}"),
        }
        fs::remove_dir_all(node.path("proc")).unwrap();
        fs::create_dir(node.path("proc")).unwrap();
        let error = node.find("pod/default/web").unwrap_err();
        assert!(matches!(error.why, Why::Stopped { .. }), "{layout}: {error}");
    }
    // Where the control group says nothing, the age does: the file was written before that process was.
    let node = Node::of("podman");
    let pid = node.pid("container/undelegated");
    let written = std::time::SystemTime::now() - std::time::Duration::from_secs(40 * 365 * 86_400);
    let file = format!(
        "run/containers/storage/overlay-containers/{}/userdata/pidfile",
        node.find("container/undelegated").unwrap().id
    );
    let file = fs::File::options().write(true).open(node.path(file)).unwrap();
    file.set_modified(written).unwrap();
    let error = node.find("container/undelegated").unwrap_err();
    assert!(matches!(error.why, Why::Stopped { .. }), "{pid}: {error}");
}

#[test]
fn what_ends_is_not_alive_any_more_and_its_next_life_is_found() {
    let node = Node::of("k3s");
    let directory = node.directory();
    let wanted = crate::node::wanted("container/sidecar");
    let found = directory.find(&wanted).unwrap();
    let pid = node.pid("container/sidecar");
    assert!(found.is_alive());
    let cgroup = fs::read_to_string(node.path(format!("proc/{pid}/cgroup"))).unwrap();
    fs::remove_dir_all(node.path(format!("proc/{pid}"))).unwrap();
    assert!(!found.is_alive());
    let bundle =
        format!("run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io/{}/init.pid", found.id);
    node.process(999, &cgroup);
    node.write(bundle, "999");
    let again = directory.find(&wanted).unwrap();
    assert_eq!(again.id, found.id);
    let Place::Path(path) = &again.place else { panic!("{again:?}") };
    assert!(path.ends_with("proc/999/ns/net"), "{path:?}");
}

#[test]
fn what_runs_in_a_sandbox_is_dialled_by_its_address_or_told() {
    let found = Node::of("cri-o").find("pod/sandboxed").unwrap();
    assert!(matches!(found.place, Place::Addresses), "{found:?}");
    assert_eq!(found.addresses, ["10.88.0.9".parse::<std::net::IpAddr>().unwrap()]);
    assert_eq!(found.labels.handler.as_deref(), Some("runsc"));
    let told = Node::of("containerd").find("pod/vm").unwrap_err().to_string();
    assert!(told.contains("kata") && told.contains("no address"), "{told}");
}

/// Where nobody can be asked, what libcni has kept is as good.
#[test]
fn a_sandbox_whose_runtime_is_silent_has_the_addresses_that_cni_gave_it() {
    let node = Node::of("containerd");
    let sandbox = node.find("pod/vm").unwrap_err();
    assert!(sandbox.to_string().contains("no address"), "{sandbox}");
    let id = "205d3d4cf3d05669e980cbc444b90919a0da5e401031624be65fa6069aff6fff";
    let kept = |network: &str, interface: &str, address: &str| {
        let path = format!("var/lib/cni/results/{network}-{id}-{interface}");
        let result = format!(r#"{{"cniVersion":"1.0.0","ips":[{{"address":"{address}/24"}}]}}"#);
        node.write(&path, format!(r#"{{"kind":"cniCacheV1","result":{result}}}"#));
    };
    kept("cni-loopback", "lo", "127.0.0.1");
    kept("a-second-one", "net1", "10.99.0.1");
    kept("k8s-pod-network", "eth0", "10.244.0.17");
    let found = node.find("pod/vm").unwrap();
    assert!(matches!(found.place, Place::Addresses), "{found:?}");
    let addresses =
        ["10.244.0.17", "10.99.0.1"].map(|one| one.parse::<std::net::IpAddr>().unwrap());
    assert_eq!(found.addresses, addresses);
}

#[test]
fn a_listing_has_everything_once_and_says_who_was_asked() {
    for (layout, count) in
        [("containerd", 10), ("k3s", 10), ("cri-o", 8), ("podman", 4), ("cri-dockerd", 6)]
    {
        let listing = Node::of(layout).directory().list();
        assert_eq!(listing.seen.len(), count, "{layout}: {:#?}", listing.seen);
        let said: Vec<usize> =
            listing.answers.iter().filter_map(|answer| answer.said.clone().ok()).collect();
        assert!(said.len() >= 2 && listing.answers.len() > 10, "{layout}: {:?}", listing.answers);
    }
}
