//! Everything that runs on a node, one after the other.

use std::fs;

use crate::node::Node;
use nsplice_runtime::{Rank, Resident, Runtime, SourceError};

fn residents(node: &Node) -> Vec<Resident> {
    let mut all = Vec::new();
    let unheard = node.directory().residents(|resident| all.push(resident));
    assert_eq!(unheard, []);
    all
}

/// The words for `resident`.
fn words(resident: &Resident) -> String {
    resident.wanted.as_ref().map_or_else(String::new, ToString::to_string)
}

#[test]
fn each_is_found_by_its_words() {
    for layout in ["containerd", "k3s", "rke2", "cri-o", "cri-dockerd", "cri-dockerd-v1", "podman"]
    {
        let node = Node::of(layout);
        let all = residents(&node);
        assert!(all.len() > 2, "{layout}: {all:?}");
        for resident in &all {
            let words = words(resident);
            assert!(!words.is_empty(), "{layout}: {resident:?}");
            // What cannot be entered is listed all the same.
            let Some(found) = &resident.found else { continue };
            let again = node.find(&words).unwrap_or_else(|error| panic!("{layout}: {error}"));
            assert_eq!(again.id, resident.id, "{layout}: {words}");
            assert_eq!(again.labels, found.labels, "{layout}: {words}");
        }
    }
}

#[test]
fn pods_come_first_and_their_containers_know_them() {
    let all = residents(&Node::of("k3s"));
    let ranks: Vec<bool> = all.iter().map(|resident| resident.rank == Rank::Pod).collect();
    assert!(ranks.is_sorted_by(|one, other| one >= other), "{ranks:?}");
    let web = all.iter().find(|resident| words(resident) == "pod/default/web").unwrap();
    let of_web = |resident: &&Resident| matches!(&resident.rank, Rank::Container { pod: Some(pod) } if *pod == web.id);
    let containers: Vec<&Resident> = all.iter().filter(of_web).collect();
    assert!(!containers.is_empty());
    for container in containers {
        assert!(web.members.contains(&container.id), "{web:?}");
        assert_eq!(container.labels.runtime, Some(Runtime::Containerd));
    }
    assert!(web.pid.is_some() && web.found.is_some());
}

#[test]
fn what_has_ended_is_no_resident() {
    let node = Node::of("k3s");
    let before = residents(&node).len();
    let pid = node.pid("container/sidecar");
    fs::remove_dir_all(node.path(format!("proc/{pid}"))).unwrap();
    assert_eq!(residents(&node).len(), before - 1);
    assert!(residents(&node).iter().all(|resident| resident.pid != Some(pid)));
    fs::remove_dir_all(node.path("proc")).unwrap();
    fs::create_dir(node.path("proc")).unwrap();
    // A namespace is left of those that have one without a process.
    assert!(residents(&node).iter().all(|resident| resident.found.is_some()));
}

#[test]
fn who_is_there_and_does_not_answer_is_told_and_the_rest_is_there() {
    let node = Node::of("k3s");
    let before = residents(&node).len();
    node.write("var/run/docker.sock", "");
    node.write("run/crio/crio.sock", "");
    let mut count = 0;
    let unheard = node.directory().residents(|_| count += 1);
    assert_eq!(count, before);
    let sources: Vec<&str> = unheard.iter().map(|answer| answer.source).collect();
    assert_eq!(sources, ["CRI", "Docker"]);
    assert!(unheard.iter().all(|answer| matches!(answer.said, Err(SourceError::Failed(_)))));
    assert!(unheard[1].path.ends_with("var/run/docker.sock"), "{unheard:?}");
}

#[test]
fn an_empty_node_has_none() {
    assert!(residents(&Node::empty()).is_empty());
}
