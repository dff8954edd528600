//! Which of the things that were seen is the one that is wanted, and how it is entered. Pure.
//!
//! Only what runs, or may run for all that is known, is taken. Where several things go by the name, none
//! is: a guess would be a link to the wrong one. A pod is one thing however many sandboxes it has had:
//! the newest that runs is meant.
//!
//! Whoever wants to see them all gets [`everything`].

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::SystemTime;

use crate::merge::Merged;
use crate::sighting::{Kind, PodName, Sighting, State};
use crate::wanted::Wanted;

/// What is to be entered, if that is clear.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decision<'a> {
    /// This one.
    One(Choice<'a>),
    /// It is there, but does not run.
    Stopped(&'a Merged),
    /// All of these go by the name and run: one of each.
    Several(Vec<&'a Merged>),
    /// There is none.
    None,
}

/// The one that is wanted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Choice<'a> {
    /// The container, or the sandbox of the pod, or where none is known a container of it.
    pub(crate) subject: &'a Merged,
    /// By whose process or namespace it is entered, the best first. They share one network.
    pub(crate) ways: Vec<&'a Merged>,
}

/// Decides which of `all` is `wanted`.
pub(crate) fn decide<'a>(wanted: &Wanted, all: &'a [Merged]) -> Decision<'a> {
    match wanted {
        Wanted::Pod { namespace, name } => pod(namespace.as_deref(), name, all),
        Wanted::Container(name) => container(name, all, Some(SHORTEST_PREFIX)),
        // Docker has found it by its own rules already, which know no shortest one.
        Wanted::Docker(name) => container(name, all, Some(1)),
        Wanted::Bare(name) => match (pod(None, name, all), container(name, all, None)) {
            (pod @ (Decision::One(_) | Decision::Several(_)), _) => pod,
            (_, container @ (Decision::One(_) | Decision::Several(_))) => container,
            (Decision::None, container) => container,
            (pod, _) => pod,
        },
    }
}

/// What matters for finding what is wanted: what may be it, the sandboxes of that, and what else is in
/// those.
#[derive(Debug)]
pub(crate) struct Related<'a> {
    wanted: &'a Wanted,
    sandboxes: HashSet<String>,
}

impl<'a> Related<'a> {
    /// What matters of all that is `seen`.
    pub(crate) fn of<'b>(wanted: &'a Wanted, seen: impl Iterator<Item = &'b Sighting>) -> Self {
        let mut related = Self { wanted, sandboxes: HashSet::new() };
        let sandboxes: HashSet<String> = seen
            .filter(|one| related.may_be(one))
            .filter_map(|one| sandbox_of(one).map(str::to_owned))
            .collect();
        related.sandboxes = sandboxes;
        related
    }

    /// Whether `one` matters.
    pub(crate) fn has(&self, one: &Sighting) -> bool {
        self.may_be(one) || sandbox_of(one).is_some_and(|id| self.sandboxes.contains(id))
    }

    fn may_be(&self, one: &Sighting) -> bool {
        let name = self.wanted.name();
        let by_pod = || {
            one.pod.as_ref().is_some_and(|pod| {
                pod.name.as_deref() == Some(name) || pod.uid.as_deref() == Some(name)
            })
        };
        match self.wanted {
            Wanted::Pod { .. } => by_pod(),
            Wanted::Container(_) | Wanted::Docker(_) => is_called(one, name),
            Wanted::Bare(_) => by_pod() || is_called(one, name),
        }
    }
}

/// Keeps of `seen` what matters for finding what is `wanted`.
pub(crate) fn keep_related(wanted: &Wanted, seen: &mut Vec<Sighting>) {
    let related = Related::of(wanted, seen.iter());
    seen.retain(|one| related.has(one));
}

/// The ID of the sandbox that `one` is or is in.
pub(crate) fn sandbox_of(one: &Sighting) -> Option<&str> {
    match &one.kind {
        Kind::Sandbox => Some(&one.id),
        Kind::Container { sandbox } => sandbox.as_deref(),
    }
}

/// Whether `one` is a container of the name `name`, or with an ID that begins so.
pub(crate) fn is_called(one: &Sighting, name: &str) -> bool {
    one.id.starts_with(name) || one.names.iter().any(|each| each == name)
}

/// A pod as it was seen once: a sandbox and its containers.
#[derive(Debug)]
struct Instance<'a> {
    sandbox: Option<&'a Merged>,
    containers: Vec<&'a Merged>,
}

impl<'a> Instance<'a> {
    /// What stands for the pod: its sandbox, else a container, best one that may run.
    fn subject(&self) -> Option<&'a Merged> {
        let running = self.containers.iter().find(|one| may_run(one)).copied();
        self.sandbox.or(running).or_else(|| self.containers.first().copied())
    }

    fn may_run(&self) -> bool {
        match self.sandbox {
            Some(sandbox) => may_run(sandbox),
            None => self.containers.iter().any(|one| may_run(one)),
        }
    }

    fn ways(&self) -> Vec<&'a Merged> {
        let containers = self.containers.iter().filter(|one| may_run(one));
        self.sandbox.iter().chain(containers).copied().collect()
    }
}

fn pod<'a>(namespace: Option<&str>, name: &str, all: &'a [Merged]) -> Decision<'a> {
    let is_wanted = |pod: &PodName| {
        let named = pod.name.as_deref() == Some(name) || pod.uid.as_deref() == Some(name);
        named && (namespace.is_none() || pod.namespace.as_deref() == namespace)
    };
    // By namespace and name: the same pod is there anew after an eviction, with another UID.
    let mut pods: BTreeMap<(Option<&str>, Option<&str>), Vec<Instance<'a>>> = BTreeMap::new();
    for instance in instances(all) {
        let named = instance.sandbox.into_iter().chain(instance.containers.iter().copied());
        let pods_of_it = named.filter_map(|one| one.sighting.pod.as_ref());
        let key = pods_of_it
            .filter(|pod| is_wanted(pod))
            .map(|pod| (pod.namespace.as_deref(), pod.name.as_deref()))
            .min();
        if let Some(key) = key {
            pods.entry(key).or_default().push(instance);
        }
    }
    let newest = |instances: &Vec<Instance<'a>>| {
        let running = instances.iter().filter(|one| one.may_run());
        let ranked = running.min_by_key(|one| one.subject().map(rank))?;
        Some(Choice { subject: ranked.subject()?, ways: ranked.ways() })
    };
    let mut running: Vec<Choice<'a>> = pods.values().filter_map(newest).collect();
    match (running.pop(), running.is_empty()) {
        (Some(choice), true) => Decision::One(choice),
        (Some(last), false) => {
            Decision::Several(running.iter().map(|one| one.subject).chain([last.subject]).collect())
        }
        (None, _) => {
            let stopped = pods.values().flatten().filter_map(Instance::subject);
            stopped.min_by_key(|one| rank(one)).map_or(Decision::None, Decision::Stopped)
        }
    }
}

/// The pods that are seen in `all`: by their sandboxes, and by containers whose sandbox is not seen.
fn instances(all: &[Merged]) -> Vec<Instance<'_>> {
    let mut instances: Vec<Instance<'_>> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for sandbox in all.iter().filter(|one| one.sighting.is_sandbox()) {
        places.insert(&sandbox.sighting.id, instances.len());
        instances.push(Instance { sandbox: Some(sandbox), containers: Vec::new() });
    }
    for container in all {
        let Kind::Container { sandbox } = &container.sighting.kind else { continue };
        let key = sandbox.as_deref();
        let known = key.and_then(|key| places.get(key)).copied();
        match known.and_then(|place| instances.get_mut(place)) {
            Some(instance) => instance.containers.push(container),
            None if key.is_some() || container.sighting.pod.is_some() => {
                places.extend(key.map(|key| (key, instances.len())));
                instances.push(Instance { sandbox: None, containers: vec![container] });
            }
            None => {}
        }
    }
    instances
}

/// Everything that may run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Everything<'a> {
    /// The pods, one for each of their sandboxes.
    pub(crate) pods: Vec<Choice<'a>>,
    /// The containers, those of pods included; each is entered by itself alone.
    pub(crate) containers: Vec<Choice<'a>>,
}

/// Everything in `all` that may run.
pub(crate) fn everything(all: &[Merged]) -> Everything<'_> {
    let mut pods: Vec<Choice<'_>> = Vec::new();
    // Containers whose sandbox is not seen make one pod if they name the same one.
    let mut without_sandbox: Vec<(&PodName, usize)> = Vec::new();
    for instance in instances(all).into_iter().filter(Instance::may_run) {
        let Some(subject) = instance.subject() else { continue };
        let Some(pod) = subject.sighting.pod.as_ref().filter(|pod| is_named(pod)) else { continue };
        let known = without_sandbox.iter().find(|(known, _)| *known == pod);
        match (instance.sandbox, known.and_then(|(_, place)| pods.get_mut(*place))) {
            (None, Some(known)) => {
                known.ways.extend(instance.ways());
                if rank(subject) < rank(known.subject) {
                    known.subject = subject;
                }
            }
            (sandbox, _) => {
                if sandbox.is_none() {
                    without_sandbox.push((pod, pods.len()));
                }
                pods.push(Choice { subject, ways: instance.ways() });
            }
        }
    }
    let is_pod =
        |one: &Merged| one.sighting.is_sandbox() && one.sighting.pod.as_ref().is_some_and(is_named);
    let containers = all.iter().filter(|one| may_run(one) && !is_pod(one));
    let containers = containers.map(|one| Choice { subject: one, ways: vec![one] }).collect();
    Everything { pods, containers }
}

fn is_named(pod: &PodName) -> bool {
    pod.name.is_some() || pod.uid.is_some()
}

/// How well `name` is a name of a container; better is less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Likeness {
    Id,
    Name,
    Prefix,
}

fn container<'a>(name: &str, all: &'a [Merged], least_prefix: Option<usize>) -> Decision<'a> {
    let likeness = |one: &Merged| {
        let by_prefix = least_prefix.is_some_and(|least| name.len() >= least);
        if one.sighting.id == name {
            Some(Likeness::Id)
        } else if one.sighting.names.iter().any(|each| each == name) {
            Some(Likeness::Name)
        } else if by_prefix && one.sighting.id.starts_with(name) {
            Some(Likeness::Prefix)
        } else {
            None
        }
    };
    let alike = || all.iter().filter_map(|one| Some((likeness(one)?, one)));
    let Some(best) = alike().map(|(likeness, _)| likeness).min() else { return Decision::None };
    let alike: Vec<&Merged> =
        alike().filter(|(likeness, _)| *likeness == best).map(|(_, one)| one).collect();
    let mut running: Vec<&Merged> = alike.iter().filter(|one| may_run(one)).copied().collect();
    running.sort_by_key(|one| rank(one));
    // A container that its pod has started anew has the same name, in the same sandbox.
    let place = |one: &'a Merged| match &one.sighting.kind {
        Kind::Container { sandbox: Some(sandbox) } if best == Likeness::Name => (true, sandbox),
        kind => (*kind == Kind::Sandbox, &one.sighting.id),
    };
    let mut places = HashSet::new();
    running.retain(|one| places.insert(place(one)));
    match running.as_slice() {
        [] => {
            alike.into_iter().min_by_key(|one| rank(one)).map_or(Decision::None, Decision::Stopped)
        }
        [only] => {
            let sandbox = match &only.sighting.kind {
                Kind::Container { sandbox: Some(id) } => {
                    all.iter().find(|one| one.sighting.is_sandbox() && one.sighting.id == *id)
                }
                _ => None,
            };
            let ways = std::iter::once(*only).chain(sandbox).collect();
            Decision::One(Choice { subject: only, ways })
        }
        several => Decision::Several(several.to_vec()),
    }
}

/// Running ones before those of which that is not known, the newest first, then as they were said.
fn rank(one: &Merged) -> (u8, Reverse<Option<SystemTime>>) {
    let state = match one.sighting.state {
        State::Running => 0,
        State::Unknown => 1,
        State::Stopped => 2,
    };
    (state, Reverse(one.sighting.created))
}

fn may_run(one: &Merged) -> bool {
    one.sighting.state != State::Stopped
}

/// The shortest beginning of an ID that is taken for one. A name that is nobody's may be the beginning of
/// somebody's ID by chance (`db`, `cafe`), and a shorter one is so too often.
const SHORTEST_PREFIX: usize = 4;

#[cfg(test)]
mod tests;
