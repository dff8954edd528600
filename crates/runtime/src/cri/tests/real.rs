//! A CRI source against a real containerd.

use std::os::unix::fs::MetadataExt;

use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;

use nsplice_testkit::containerd::{Containerd, HasNetwork};
use nsplice_testkit::wait_until;

use super::*;

const SLEEP: [&str; 2] = ["/bin/sleep", "100000"];

/// A containerd as it is on a node, and the root to see it by.
fn node(test: &str) -> Option<(Containerd, Root, Cri)> {
    let containerd = Containerd::for_test(test)?;
    let root = Root::at(&containerd.root()).unwrap();
    Some((containerd, root, Cri::at("/run/containerd/containerd.sock")))
}

/// Device and inode of a process's network namespace.
fn network_of(pid: u32) -> (u64, u64) {
    let about = fs::metadata(format!("/proc/{pid}/ns/net")).unwrap();
    (about.dev(), about.ino())
}

#[track_caller]
fn pid_of(one: &Sighting) -> u32 {
    let pid = one.pid.as_ref().unwrap_or_else(|| panic!("no PID: {one:?}")).pid;
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    assert!(groups.contains(&one.id), "{one:?} is not {groups}");
    pid
}

#[test]
fn pods_and_containers_of_containerd_are_found() {
    let Some((containerd, root, cri)) = node("pods_and_containers_of_containerd_are_found") else {
        return;
    };
    let web = containerd.pod("default", "web", HasNetwork::Own);
    let app = containerd.container(&web, "app", &SLEEP);
    let later = containerd.created_container(&web, "later", &SLEEP);
    let other = containerd.pod("other", "web", HasNetwork::Own);
    let host = containerd.pod("kube-system", "host", HasNetwork::Node);
    let agent = containerd.container(&host, "agent", &SLEEP);
    let gone = containerd.pod("default", "gone", HasNetwork::Own);
    containerd.stop_pod(&gone);

    // A pod, with its namespace, its process and its address.
    let seen = cri.find(&root, &pod(Some("default"), "web")).unwrap();
    let sandbox = seen.iter().find(|one| one.is_sandbox()).unwrap();
    assert_eq!((&sandbox.id, seen.len()), (&web.id, 3), "{seen:?}");
    let name = sandbox.pod.as_ref().unwrap();
    assert_eq!((name.namespace.as_deref(), name.name.as_deref()), (Some("default"), Some("web")));
    assert!(name.uid.as_deref().unwrap().starts_with("uid-"));
    assert_eq!((sandbox.runtime, sandbox.state), (Runtime::Containerd, State::Running));
    assert_eq!(sandbox.network, Network::Own);
    let pid = pid_of(sandbox);
    let path = sandbox.namespace.as_ref().unwrap();
    assert!(path.starts_with("/var/run/netns"), "{path:?}");
    let file = root.status(path).unwrap();
    assert_eq!((file.st_dev, file.st_ino), network_of(pid));
    assert!(sandbox.addresses[0].to_string().starts_with("10.213.0."), "{sandbox:?}");
    assert!(sandbox.created.unwrap().elapsed().unwrap() < Duration::from_secs(300));

    // Its containers know the pod, and which of them run.
    let one = |id: &str| {
        let seen = cri.find(&root, &Wanted::Container(id.to_owned())).unwrap();
        seen.into_iter().find(|one| one.id.starts_with(id)).unwrap()
    };
    let found = one(&app[..12]);
    assert_eq!((&found.names[..], &found.pod), (&["app".to_owned()][..], &sandbox.pod));
    assert_eq!(network_of(pid_of(&found)), network_of(pid));
    assert_eq!((found.network, found.namespace), (Network::Of(web.id.clone()), None));
    let found = one(&later);
    assert_eq!((found.state, found.pid), (State::Stopped, None));

    // The node's network is told; two pods of a name are two; one that has ended says so.
    let seen = cri.find(&root, &pod(None, "host")).unwrap();
    let sandbox = seen.iter().find(|one| one.id == host.id).unwrap();
    assert_eq!((&sandbox.network, &sandbox.namespace), (&Network::Host, &None));
    assert_eq!(network_of(pid_of(sandbox)), network_of(containerd.pid()));
    let found = one(&agent);
    let network = (&found.network, network_of(pid_of(&found)));
    assert_eq!(network, (&Network::Of(host.id.clone()), network_of(containerd.pid())));
    let seen = cri.find(&root, &pod(None, "web")).unwrap();
    assert!(seen.iter().any(|one| one.id == other.id && one.pid.is_some()), "{seen:?}");
    let seen = cri.find(&root, &pod(None, "gone")).unwrap();
    assert_eq!((seen[0].state, &seen[0].pid), (State::Stopped, &None));
    assert_eq!(cri.list(&root).unwrap().len(), 7);
    assert_eq!(cri.find(&root, &pod(None, "nobody")).unwrap(), []);
}

#[test]
fn what_is_started_anew_is_another_one() {
    let Some((containerd, root, cri)) = node("what_is_started_anew_is_another_one") else { return };
    let web = containerd.pod("default", "web", HasNetwork::Own);
    let first = containerd.container(&web, "app", &SLEEP);
    let find = || {
        let seen = cri.find(&root, &Wanted::Container("app".into())).unwrap();
        seen.into_iter().filter(|one| !one.is_sandbox()).collect::<Vec<_>>()
    };
    let before = find();
    let [before] = &before[..] else { panic!("{before:?}") };
    assert_eq!(before.id, first);
    containerd.stop_container(&first);
    let ended = cri.again(&root, before).unwrap().unwrap();
    assert_eq!((ended.state, &ended.pid), (State::Stopped, &None));
    containerd.remove_container(&first);
    assert_eq!(cri.again(&root, before), Ok(None));
    let second = containerd.container(&web, "app", &SLEEP);
    let after = find();
    let [after] = &after[..] else { panic!("{after:?}") };
    assert_eq!(after.id, second);
    assert_ne!(pid_of(after), before.pid.as_ref().unwrap().pid);
    let seen = cri.find(&root, &pod(None, "web")).unwrap();
    let sandbox = seen.iter().find(|one| one.is_sandbox()).unwrap();
    containerd.stop_pod(&web);
    let ended = cri.again(&root, sandbox).unwrap().unwrap();
    assert_eq!((ended.state, &ended.pid, &ended.namespace), (State::Stopped, &None, &None));
    containerd.remove_pod(&web);
    assert_eq!(cri.again(&root, sandbox), Ok(None));
}

#[test]
fn filters_and_versions_are_as_containerd_has_them() {
    let Some((containerd, root, cri)) = node("filters_and_versions_are_as_containerd_has_them")
    else {
        return;
    };
    let web = containerd.pod("default", "web", HasNetwork::Own);
    let app = containerd.container(&web, "app", &SLEEP);
    let later = containerd.created_container(&web, "later", &SLEEP);
    let gone = containerd.pod("default", "gone", HasNetwork::Own);
    containerd.stop_pod(&gone);
    let mut client = cri.connect(&root).unwrap();
    let mut sandboxes = |filter: Filter<'_>| {
        let mut seen: Vec<_> =
            client.sandboxes(&filter).unwrap().into_iter().map(|one| one.id).collect();
        seen.sort();
        seen
    };
    let mut both = [web.id.clone(), gone.id.clone()];
    both.sort();
    assert_eq!(sandboxes(Filter::default()), both);
    assert_eq!(sandboxes(Filter { running: true, ..Filter::default() }), [&*web.id]);
    assert_eq!(sandboxes(Filter { id: &gone.id[..8], ..Filter::default() }), [&*gone.id]);
    let labels = [(POD_NAME, "web"), (POD_NAMESPACE, "default")];
    assert_eq!(sandboxes(Filter { labels: &labels, ..Filter::default() }), [&*web.id]);
    let labels = [(POD_NAME, "web"), (POD_NAMESPACE, "other")];
    assert_eq!(sandboxes(Filter { labels: &labels, ..Filter::default() }), [""; 0]);
    let mut containers = |filter: Filter<'_>| {
        let mut seen: Vec<_> =
            client.containers(&filter).unwrap().into_iter().map(|one| one.id).collect();
        seen.sort();
        seen
    };
    let mut all = [app.clone(), later.clone()];
    all.sort();
    assert_eq!(containers(Filter { pod_sandbox_id: &web.id, ..Filter::default() }), all);
    assert_eq!(containers(Filter { pod_sandbox_id: &gone.id, ..Filter::default() }), [""; 0]);
    assert_eq!(containers(Filter { running: true, ..Filter::default() }), [&*app]);
    assert_eq!(containers(Filter { id: &later, ..Filter::default() }), [&*later]);
    // The older version has the same numbers.
    let ask = |version: &str| {
        let method = format!("/runtime.{version}.RuntimeService/ListPodSandbox");
        nsplice_testkit::grpc::call(&containerd.socket(), &method, &[]).unwrap().unwrap()
    };
    let (mut v1, mut v1alpha2) = (ask("v1"), ask("v1alpha2"));
    // The labels are in any order.
    v1.sort_unstable();
    v1alpha2.sort_unstable();
    assert_eq!(v1, v1alpha2);
}

#[test]
fn a_containerd_that_hangs_or_was_killed_is_told_as_that() {
    let Some((containerd, root, mut cri)) = node("a_containerd_that_hangs_or_was_killed") else {
        return;
    };
    let web = containerd.pod("default", "web", HasNetwork::Own);
    let pid = Pid::from_raw(i32::try_from(containerd.pid()).unwrap());
    let wanted = pod(None, "web");
    assert_eq!(ids(&cri.find(&root, &wanted).unwrap()), [&*web.id]);
    kill(pid, Signal::SIGSTOP).unwrap();
    cri.within = Duration::from_millis(500);
    // Some of its threads may go on for a moment.
    wait_until("containerd to hang", || match cri.find(&root, &wanted) {
        Err(SourceError::Failed(told)) => told.ends_with(": no response within 500 ms"),
        _ => false,
    });
    kill(pid, Signal::SIGCONT).unwrap();
    cri.within = TIMEOUT;
    assert_eq!(ids(&cri.find(&root, &wanted).unwrap()), [&*web.id]);
    kill(pid, Signal::SIGKILL).unwrap();
    let words = "Connection refused; does the container runtime run?";
    let refused = SourceError::Failed(words.into());
    // It may still take a connection, which it closes.
    wait_until("containerd to end", || cri.list(&root).as_ref() == Err(&refused));
}
