//! The words that mean one pod or container and no other. Pure.
//!
//! People copy them into the next command line, so the friendliest form that is not ambiguous is taken: a
//! pod by its names, a container by its name, and what shares its names with another by its ID.

use std::collections::HashMap;

use crate::decide::{Choice, Everything};
use crate::sighting::{Runtime, Sighting};
use crate::unfound::SHOWN_ID;
use crate::wanted::Wanted;

/// The words of everything, in its order: of the pods, then of the containers. `None` where nothing could
/// be written that means it.
pub(crate) fn words(everything: &Everything<'_>) -> Vec<Option<Wanted>> {
    let pods = everything.pods.iter().map(forms_of_pod);
    let all: Vec<Vec<Wanted>> =
        pods.chain(everything.containers.iter().map(forms_of_container)).collect();
    let mut counts: HashMap<&Wanted, usize> = HashMap::new();
    for form in all.iter().flatten() {
        *counts.entry(form).or_default() += 1;
    }
    let is_unique = |form: &&Wanted| counts.get(form) == Some(&1);
    all.iter().map(|forms| forms.iter().find(is_unique).cloned()).collect()
}

/// All by which a pod is found, the best first.
fn forms_of_pod(choice: &Choice<'_>) -> Vec<Wanted> {
    let one = &choice.subject.sighting;
    let pod = one.pod.as_ref();
    let (namespace, name) =
        pod.map_or((None, None), |pod| (pod.namespace.as_deref(), pod.name.as_deref()));
    let uid = pod.and_then(|pod| pod.uid.as_deref());
    let whole = namespace.zip(name).map(|(namespace, name)| format!("{namespace}/{name}"));
    let words = [whole.as_deref(), name, uid].into_iter().flatten();
    let mut forms: Vec<Wanted> = words.filter_map(|words| Wanted::pod(words).ok()).collect();
    // A sandbox is a container, too.
    if one.is_sandbox() {
        forms.extend(by_id(one));
        forms.extend(by_name(one));
    }
    distinct(forms)
}

/// All by which a container is found, the best first.
fn forms_of_container(choice: &Choice<'_>) -> Vec<Wanted> {
    let one = &choice.subject.sighting;
    // Within a pod Docker's names are cri-dockerd's.
    let is_dockers = one.runtime == Runtime::Docker && one.pod.is_none();
    let dockers = one.names.iter().filter(|_| is_dockers);
    let forms = dockers.filter_map(|name| Wanted::docker(name).ok());
    distinct(forms.chain(by_name(one)).chain(by_id(one)))
}

fn by_name(one: &Sighting) -> impl Iterator<Item = Wanted> + '_ {
    one.names.iter().filter_map(|name| Wanted::container(name).ok())
}

fn by_id(one: &Sighting) -> impl Iterator<Item = Wanted> + '_ {
    let short: String = one.id.chars().take(SHOWN_ID).collect();
    [short, one.id.clone()].into_iter().filter_map(|id| Wanted::container(&id).ok())
}

/// Each once, as they came.
fn distinct(forms: impl IntoIterator<Item = Wanted>) -> Vec<Wanted> {
    let mut all = Vec::new();
    for form in forms {
        if !all.contains(&form) {
            all.push(form);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::{decide, everything, Decision};
    use crate::merge::{merge, Merged};
    use crate::sighting::tests::sightings;
    use crate::sighting::{Kind, PodName, State};
    use proptest::prelude::*;

    fn written(seen: &[Sighting]) -> Vec<String> {
        let all = merge(seen.iter().cloned().map(|one| (0, one)));
        let words = words(&everything(&all));
        words
            .into_iter()
            .map(|word| word.map_or_else(String::new, |word| word.to_string()))
            .collect()
    }

    fn container(id: &str, name: &str, runtime: Runtime) -> Sighting {
        let kind = Kind::Container { sandbox: None };
        Sighting { names: vec![name.to_owned()], ..Sighting::of(id, kind, runtime) }
    }

    #[test]
    fn the_friendliest_words_that_mean_only_one_are_taken() {
        let pod = |id: &str, namespace: Option<&str>, name: &str| Sighting {
            pod: Some(PodName {
                namespace: namespace.map(str::to_owned),
                name: Some(name.to_owned()),
                uid: Some(format!("uid-{id}")),
            }),
            ..Sighting::of(id, Kind::Sandbox, Runtime::Containerd)
        };
        let in_pod = Sighting {
            kind: Kind::Container { sandbox: Some("a1".to_owned()) },
            ..container("b1", "app", Runtime::Containerd)
        };
        let seen = [
            pod("a1", Some("default"), "web"),
            pod("a2", Some("prod"), "web"),
            pod("a3", None, "lone"),
            pod("a4", None, "web"),
            in_pod,
            container("0123456789abcdef", "app", Runtime::Podman),
            container("c1", "db", Runtime::Docker),
            container("c2", "cache", Runtime::Podman),
            container("c3", "cache", Runtime::Docker),
            container("c4", "a b", Runtime::Podman),
            container("\u{1b}[2J", "../x", Runtime::Podman),
        ];
        assert_eq!(
            written(&seen),
            [
                "pod/default/web",
                "pod/prod/web",
                "pod/lone",
                "pod/uid-a4",
                "container/b1",
                "container/0123456789ab",
                "docker/db",
                "container/c2",
                "docker/cache",
                "container/c4",
                "",
            ]
        );
    }

    /// What is said by sources that agree about pods.
    fn agreed() -> impl Strategy<Value = Vec<Merged>> {
        proptest::collection::vec(sightings(), 0..12).prop_map(|seen| {
            let mut all = merge(seen.into_iter().map(|one| (0, one)));
            let sandboxes: HashMap<String, Option<PodName>> = all
                .iter()
                .filter(|one| one.sighting.is_sandbox())
                .map(|one| (one.sighting.id.clone(), one.sighting.pod.clone()))
                .collect();
            for one in all.iter_mut().map(|merged| &mut merged.sighting) {
                if let Kind::Container { sandbox: Some(id) } = &one.kind {
                    one.pod = sandboxes.get(id).cloned().flatten();
                }
            }
            all
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_found(all in agreed()) {
            let everything = everything(&all);
            let words = words(&everything);
            let choices = || everything.pods.iter().chain(&everything.containers);
            prop_assert_eq!(words.len(), choices().count());
            for (choice, word) in choices().zip(&words) {
                // Each has an ID of its own at least.
                let id = &choice.subject.sighting.id;
                let is_pods = everything.pods.contains(choice);
                prop_assert!(word.is_some() || is_pods, "{} has no words", id);
                let Some(word) = word else { continue };
                match decide(word, &all) {
                    Decision::One(found) => prop_assert_eq!(&found.subject.sighting.id, id, "{}", word),
                    other => prop_assert!(false, "{}: {:?}", word, other),
                }
            }
        }

        #[test]
        fn all_that_may_run_is_there_and_nothing_else(all in agreed()) {
            let everything = everything(&all);
            for one in &all {
                let runs = one.sighting.state != State::Stopped;
                let is_listed = |choices: &[Choice<'_>]| choices.iter().any(|each| each.subject == one);
                let listed = is_listed(&everything.pods) || is_listed(&everything.containers);
                prop_assert_eq!(listed, runs, "{:?}", one);
            }
        }
    }
}
