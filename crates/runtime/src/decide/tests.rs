use std::time::{Duration, SystemTime};

use proptest::prelude::*;

use super::*;
use crate::merge::merge;
use crate::sighting::tests::sightings;
use crate::sighting::{Runtime, Sighting};

fn named(namespace: &str, name: &str) -> Option<PodName> {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Some(PodName { namespace: some(namespace), name: some(name), uid: Some(format!("uid-{name}")) })
}

fn sandbox(id: &str, namespace: &str, name: &str, state: State) -> Sighting {
    let pod = named(namespace, name);
    Sighting { pod, state, ..Sighting::of(id, Kind::Sandbox, Runtime::Containerd) }
}

fn container(id: &str, name: &str, sandbox: Option<&str>, state: State) -> Sighting {
    let kind = Kind::Container { sandbox: sandbox.map(str::to_owned) };
    let names = vec![name.to_owned()];
    Sighting { names, state, ..Sighting::of(id, kind, Runtime::Containerd) }
}

/// What is decided, in short: the subject and the ways, the stopped one, or all.
fn decided(wanted: &Wanted, seen: &[Sighting]) -> String {
    let all = merge(seen.iter().cloned().map(|one| (0, one)));
    let ids = |many: &[&Merged]| {
        many.iter().map(|one| one.sighting.id.as_str()).collect::<Vec<_>>().join("+")
    };
    match decide(wanted, &all) {
        Decision::One(choice) => format!("{} by {}", choice.subject.sighting.id, ids(&choice.ways)),
        Decision::Stopped(one) => format!("{} stopped", one.sighting.id),
        Decision::Several(many) => format!("several: {}", ids(&many)),
        Decision::None => "none".to_owned(),
    }
}

fn pod(words: &str) -> Wanted {
    Wanted::pod(words).unwrap()
}

use State::{Running, Stopped, Unknown};

#[test]
fn a_pod_is_its_newest_sandbox_that_runs() {
    let at = |seconds| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    let seen = [
        Sighting { created: at(9), ..sandbox("old", "default", "web", Stopped) },
        Sighting { created: at(2), ..sandbox("new", "default", "web", Running) },
        Sighting { created: at(1), ..sandbox("newer-not", "default", "web", Running) },
        container("c1", "app", Some("new"), Running),
        container("c0", "app", Some("new"), Stopped),
    ];
    assert_eq!(decided(&pod("web"), &seen), "new by new+c1");
    assert_eq!(decided(&pod("default/web"), &seen), "new by new+c1");
    assert_eq!(decided(&pod("uid-web"), &seen), "new by new+c1");
    assert_eq!(decided(&pod("kube-system/web"), &seen), "none");
    assert_eq!(decided(&Wanted::bare("web").unwrap(), &seen), "new by new+c1");
    assert_eq!(decided(&pod("web"), &seen[..1]), "old stopped");
    assert_eq!(decided(&pod("wbe"), &seen), "none");
}

#[test]
fn a_pod_of_several_namespaces_is_not_guessed() {
    let seen = [
        sandbox("a", "default", "web", Running),
        sandbox("b", "prod", "web", Unknown),
        sandbox("c", "test", "web", Stopped),
    ];
    assert_eq!(decided(&pod("web"), &seen), "several: a+b");
    assert_eq!(decided(&pod("prod/web"), &seen), "b by b");
    assert_eq!(decided(&pod("test/web"), &seen), "c stopped");
    assert_eq!(decided(&pod("web"), &seen[1..]), "b by b");
}

#[test]
fn a_pod_without_a_sandbox_is_entered_by_its_containers() {
    let pod_of = |one: Sighting| Sighting { pod: named("default", "web"), ..one };
    let seen = [
        pod_of(container("c0", "init", Some("gone"), Stopped)),
        pod_of(container("c1", "app", Some("gone"), Running)),
    ];
    assert_eq!(decided(&pod("web"), &seen), "c1 by c1");
    assert_eq!(decided(&pod("web"), &seen[..1]), "c0 stopped");
}

#[test]
fn a_container_is_its_id_its_name_or_the_beginning_of_its_id() {
    let wanted = |name: &str| Wanted::container(name).unwrap();
    let seen = [
        container("beef00", "web", None, Running),
        container("beef11", "beef00", None, Running),
        container("cafe22", "beef", None, Running),
        container("db3333", "old", None, Stopped),
    ];
    assert_eq!(decided(&wanted("beef00"), &seen), "beef00 by beef00", "an ID before a name");
    assert_eq!(decided(&wanted("beef"), &seen), "cafe22 by cafe22", "a name before a beginning");
    assert_eq!(decided(&wanted("beef1"), &seen), "beef11 by beef11");
    assert_eq!(decided(&wanted("old"), &seen), "db3333 stopped");
    assert_eq!(decided(&wanted("db"), &seen), "none", "two letters are no ID");
    assert_eq!(decided(&Wanted::docker("db").unwrap(), &seen), "db3333 stopped");
    assert_eq!(decided(&wanted("beef"), &seen[..2]), "several: beef00+beef11");
    assert_eq!(decided(&Wanted::bare("beef1").unwrap(), &seen), "none", "a bare name is a name");
}

#[test]
fn a_container_of_several_pods_is_not_guessed_but_one_that_was_restarted_is_one() {
    let at = |seconds| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    let wanted = Wanted::container("app").unwrap();
    let seen = [
        sandbox("s1", "default", "web", Running),
        Sighting { created: at(1), ..container("c1", "app", Some("s1"), Unknown) },
        Sighting { created: at(2), ..container("c2", "app", Some("s1"), Unknown) },
        container("c3", "app", Some("s2"), Running),
    ];
    assert_eq!(decided(&wanted, &seen[..3]), "c2 by c2+s1");
    assert_eq!(decided(&wanted, &seen), "several: c3+c2");
    assert_eq!(decided(&Wanted::bare("app").unwrap(), &seen), "several: c3+c2");
}

#[test]
fn a_bare_name_is_a_pod_else_a_container() {
    let web = Wanted::bare("web").unwrap();
    let pod = sandbox("s1", "default", "web", Running);
    let stopped = sandbox("s1", "default", "web", Stopped);
    let container = container("c1", "web", None, Running);
    assert_eq!(decided(&web, &[pod.clone(), container.clone()]), "s1 by s1");
    assert_eq!(decided(&web, &[stopped.clone(), container.clone()]), "c1 by c1");
    assert_eq!(decided(&web, &[stopped]), "s1 stopped");
    assert_eq!(decided(&web, &[container]), "c1 by c1");
    assert_eq!(decided(&web, &[]), "none");
}

fn wanteds() -> impl Strategy<Value = Wanted> {
    let namespace = proptest::option::of("[ab]");
    prop_oneof![
        (namespace, "(web|db|uid-1)").prop_map(|(namespace, name)| Wanted::Pod { namespace, name }),
        "(web|app|beef|aaaa|aaaa0|a)".prop_map(Wanted::Container),
        "(web|app|beef|aaaa|aaaa0|a)".prop_map(Wanted::Docker),
        "(web|app|beef|aaaa)".prop_map(Wanted::Bare),
    ]
}

proptest! {
    /// Whatever is said: what is chosen may run and goes by the name, it is entered by itself or by its
    /// pod, and nothing else that would do as well was passed over.
    #[test]
    fn what_is_chosen_is_what_was_wanted(
        wanted in wanteds(), seen in proptest::collection::vec(sightings(), 0..12)
    ) {
        let all = merge(seen.into_iter().map(|one| (0, one)));
        let sandbox_of = |one: &Merged| match &one.sighting.kind {
            Kind::Container { sandbox } => sandbox.clone(),
            Kind::Sandbox => Some(one.sighting.id.clone()),
        };
        match decide(&wanted, &all) {
            Decision::One(choice) => {
                prop_assert!(!choice.ways.is_empty());
                let home = sandbox_of(choice.subject);
                for way in &choice.ways {
                    prop_assert!(*way == choice.subject || (sandbox_of(way) == home && home.is_some()));
                }
                if let Wanted::Container(name) | Wanted::Docker(name) = &wanted {
                    let one = &choice.subject.sighting;
                    prop_assert!(one.state != Stopped);
                    prop_assert!(one.id.starts_with(name) || one.names.contains(name));
                    let twin = all.iter().find(|other| {
                        other.sighting.id != one.id
                            && other.sighting.state != Stopped
                            && other.sighting.names.contains(name)
                            && one.names.contains(name)
                            && one.id != *name
                            && (sandbox_of(other) != sandbox_of(choice.subject)
                                || sandbox_of(other).is_none())
                    });
                    prop_assert_eq!(twin, None);
                }
            }
            Decision::Stopped(one) => {
                // Of a pod only its sandbox need be: the containers in it do not bring it back.
                let is_stopped = one.sighting.state == Stopped;
                prop_assert!(is_stopped);
            }
            Decision::Several(many) => prop_assert!(many.len() > 1),
            Decision::None => {
                if let Wanted::Container(name) = &wanted {
                    prop_assert!(all.iter().all(|one| one.sighting.id != *name
                        && !one.sighting.names.contains(name)));
                }
            }
        }
    }

    /// Whatever a source leaves out, the decision is the same.
    #[test]
    fn what_is_not_related_does_not_matter(
        wanted in wanteds(), seen in proptest::collection::vec(sightings(), 0..12)
    ) {
        let mut once = HashSet::new();
        let seen: Vec<Sighting> =
            seen.into_iter().filter(|one| once.insert(one.id.clone())).collect();
        let mut related = seen.clone();
        keep_related(&wanted, &mut related);
        prop_assert_eq!(decided(&wanted, &seen), decided(&wanted, &related));
    }

    /// The order in which sources mention things decides nothing that matters.
    #[test]
    fn the_order_of_what_is_seen_does_not_choose(
        wanted in wanteds(), seen in proptest::collection::vec(sightings(), 0..8)
    ) {
        let mut once = HashSet::new();
        let seen: Vec<Sighting> =
            seen.into_iter().filter(|one| once.insert(one.id.clone())).collect();
        let turned: Vec<Sighting> = seen.iter().rev().cloned().collect();
        let kind = |seen: &[Sighting]| {
            let all = merge(seen.iter().cloned().map(|one| (0, one)));
            match decide(&wanted, &all) {
                Decision::One(_) => 0u8,
                Decision::Stopped(_) => 1,
                Decision::Several(_) => 2,
                Decision::None => 3,
            }
        };
        prop_assert_eq!(kind(&seen), kind(&turned));
    }
}
