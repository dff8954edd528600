//! The pods of a node, out of all that its runtimes say.
//!
//! A pod is what Kubernetes or podman calls one. A container that is in none is a pod of its own, of its
//! own name, in the namespace `default`, and so is a pod of podman's, which has no namespace: what a
//! lone node runs is there where kubectl looks first.

use std::collections::BTreeMap;

use nsplice_portforward::{Phase, PodView};
use nsplice_runtime::{Sighting, State};

/// The namespace of what has none.
pub(super) const NAMESPACE: &str = "default";

/// The pods among what was `seen`, by namespace and name.
pub(super) fn views(seen: &[Sighting]) -> Vec<PodView> {
    let mut pods: BTreeMap<(String, String), PodView> = BTreeMap::new();
    for one in seen {
        let pod = one.pod.as_ref();
        let namespace = pod.and_then(|pod| pod.namespace.as_deref()).unwrap_or(NAMESPACE);
        let name = match pod {
            Some(pod) => pod.name.clone(),
            None => one.names.first().cloned().or_else(|| one.id.get(..SHORT).map(str::to_owned)),
        };
        let Some(name) = name else { continue };
        let uid = pod.and_then(|pod| pod.uid.clone());
        let view = pods.entry((namespace.to_owned(), name.clone())).or_insert_with(|| PodView {
            namespace: namespace.to_owned(),
            name,
            uid: uid.clone().unwrap_or_else(|| one.id.clone()),
            containers: Vec::new(),
            phase: Phase::Stopped,
            addresses: Vec::new(),
            created: None,
        });
        let phase = phase_of(one.state);
        // A pod may have a sandbox that has ended beside the one that runs.
        if phase == Phase::Running
            && (one.is_sandbox() || pod.is_none() || view.phase == Phase::Stopped)
        {
            view.phase = phase;
            view.uid = uid.unwrap_or_else(|| view.uid.clone());
        }
        if view.addresses.is_empty() {
            view.addresses.clone_from(&one.addresses);
        }
        view.created = [view.created, one.created].into_iter().flatten().min();
        if !one.is_sandbox() {
            add(&mut view.containers, one.names.first().unwrap_or(&one.id), phase);
        }
    }
    pods.into_values().collect()
}

/// Adds a container; one that has run before under the same name is the same.
fn add(containers: &mut Vec<(String, Phase)>, name: &str, phase: Phase) {
    match containers.iter_mut().find(|(each, _)| each == name) {
        Some((_, known)) if phase == Phase::Running => *known = phase,
        Some(_) => {}
        None => containers.push((name.to_owned(), phase)),
    }
}

/// What keeps its state on disk only may not know: its process does, when it is forwarded to.
fn phase_of(state: State) -> Phase {
    match state {
        State::Running | State::Unknown => Phase::Running,
        State::Stopped => Phase::Stopped,
    }
}

/// The length of an ID that stands for a name.
const SHORT: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;
    use nsplice_runtime::{Kind, PodName, Runtime};

    fn of_pod(id: &str, kind: Kind, name: &str, state: State) -> Sighting {
        let pod = PodName {
            namespace: Some("a".to_owned()),
            name: Some("web".to_owned()),
            uid: Some("0f-1".to_owned()),
        };
        let names = vec![name.to_owned()];
        Sighting { pod: Some(pod), names, state, ..Sighting::of(id, kind, Runtime::Containerd) }
    }

    #[test]
    fn sandboxes_and_containers_of_a_pod_are_one() {
        let container = || Kind::Container { sandbox: None };
        let seen = [
            of_pod("00", Kind::Sandbox, "", State::Stopped),
            of_pod("01", Kind::Sandbox, "", State::Running),
            of_pod("02", container(), "app", State::Running),
            of_pod("03", container(), "app", State::Stopped),
            of_pod("04", container(), "setup", State::Stopped),
        ];
        let [view] = views(&seen).try_into().unwrap();
        assert_eq!((view.namespace.as_str(), view.name.as_str()), ("a", "web"));
        assert_eq!((view.uid.as_str(), view.phase), ("0f-1", Phase::Running));
        let containers = [("app".to_owned(), Phase::Running), ("setup".to_owned(), Phase::Stopped)];
        assert_eq!(view.containers, containers);
    }

    #[test]
    fn a_container_without_a_pod_is_one_of_the_namespace_default() {
        let kind = || Kind::Container { sandbox: None };
        let named = Sighting {
            names: vec!["db".to_owned()],
            state: State::Running,
            ..Sighting::of("aa", kind(), Runtime::Docker)
        };
        let id = "0123456789abcdef0123";
        let nameless =
            Sighting { state: State::Stopped, ..Sighting::of(id, kind(), Runtime::Docker) };
        let [first, second] = views(&[named, nameless]).try_into().unwrap();
        assert_eq!((first.name.as_str(), first.phase), ("0123456789ab", Phase::Stopped));
        assert_eq!((second.name.as_str(), second.phase), ("db", Phase::Running));
        assert_eq!(second.namespace, NAMESPACE);
        assert_eq!(second.containers, [("db".to_owned(), Phase::Running)]);
    }
}
