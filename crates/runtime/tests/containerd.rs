//! Looking up pods and containers of a real containerd, as anybody does who depends on this crate.

use std::fs;
use std::os::unix::fs::MetadataExt;

use nsplice_runtime::{Directory, Files, Found, Owner, Place, Root, Runtime, Wanted, Why};
use nsplice_testkit::containerd::{Containerd, HasNetwork};
use nsplice_testkit::wait_until;

const SLEEP: [&str; 2] = ["/bin/sleep", "100000"];

/// The directory of a node whose root is that of `containerd`.
fn directory(containerd: &Containerd) -> Directory {
    Directory::of(Root::at(&containerd.root()).expect("a root"), None)
}

fn inode_of(pid: u32) -> u64 {
    fs::metadata(format!("/proc/{pid}/ns/net")).expect("a process").ino()
}

/// The inode of the network namespace in which the sockets are born.
fn inode(found: &Found) -> u64 {
    match &found.place {
        Place::Process(process) => inode_of(process.pid()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_pod_is_held_until_it_ends_and_found_anew() {
    let Some(containerd) = Containerd::for_test("a_pod_is_held_until_it_ends_and_found_anew")
    else {
        return;
    };
    let directory = directory(&containerd);
    let wanted = Wanted::pod("default/web").unwrap();
    assert!(matches!(directory.find(&wanted).unwrap_err().why, Why::NoSuch { .. }));
    let first = containerd.pod("default", "web", HasNetwork::Own);
    let app = containerd.container(&first, "app", &SLEEP);
    let found = directory.find(&wanted).unwrap();
    assert_eq!(found.id, first.id);
    let labels = &found.labels;
    assert_eq!(
        (labels.pod.as_deref(), labels.namespace.as_deref()),
        (Some("web"), Some("default"))
    );
    assert_eq!((labels.runtime, labels.container.as_deref()), (Some(Runtime::Containerd), None));
    assert!(found.addresses[0].to_string().starts_with("10.213.0."), "{found:?}");
    assert!(found.is_alive());
    // Its names are in the files of its container, which the sandbox has not all of.
    let by_container = directory.find(&Wanted::container(&app).unwrap()).unwrap();
    let own = |found: &Found| found.process().map(|process| process.pid());
    let files = |found: &Found| match &found.files {
        Files::Container(Owner::Process(process)) => Some(process.pid()),
        other => panic!("{other:?}"),
    };
    assert!(own(&by_container).is_some() && own(&by_container) != own(&found));
    assert_eq!((files(&found), files(&by_container)), (own(&by_container), own(&by_container)));
    // The container has the network of its pod, by whatever it is called.
    for words in [&app, &app[..12], "app"] {
        let by_container = directory.find(&Wanted::container(words).unwrap()).unwrap();
        assert_eq!((&by_container.id, inode(&by_container)), (&app, inode(&found)), "{words}");
        assert_eq!(by_container.labels.container.as_deref(), Some("app"));
    }
    assert_eq!(directory.find(&Wanted::bare("web").unwrap()).unwrap().id, first.id);
    containerd.stop_pod(&first);
    wait_until("the sandbox to end", || !found.is_alive());
    assert!(matches!(directory.find(&wanted).unwrap_err().why, Why::Stopped { .. }));
    let second = containerd.pod("default", "web", HasNetwork::Own);
    let anew = directory.find(&wanted).unwrap();
    assert_eq!(anew.id, second.id);
    assert_ne!(inode(&anew), inode_of(std::process::id()));
    // Another one of that name.
    let other = containerd.pod("other", "web", HasNetwork::Own);
    let why = directory.find(&Wanted::pod("web").unwrap()).unwrap_err().why;
    let candidates = ["pod/default/web", "pod/other/web"].map(str::to_owned).to_vec();
    assert_eq!(why, Why::Ambiguous { candidates });
    assert_eq!(directory.find(&Wanted::pod("other/web").unwrap()).unwrap().id, other.id);
    let nearest = directory.find(&Wanted::pod("wbe").unwrap()).unwrap_err().why;
    assert!(matches!(nearest, Why::NoSuch { nearest: Some(_), .. }), "{nearest:?}");
}

#[test]
fn a_pod_of_the_nodes_network_leads_to_that() {
    let Some(containerd) = Containerd::for_test("a_pod_of_the_nodes_network_leads_to_that") else {
        return;
    };
    let pod = containerd.pod("kube-system", "proxy", HasNetwork::Node);
    let found = directory(&containerd).find(&Wanted::pod("proxy").unwrap()).unwrap();
    assert_eq!((&found.id, inode(&found)), (&pod.id, inode_of(containerd.pid())));
}
