//! What several sources say, made one for each container and sandbox. Pure.
//!
//! The same thing is known by its ID. Of what sources say differently, the first one's word counts: they
//! are asked in the order in which they deserve trust. What one leaves open the next may fill in.

use std::collections::HashMap;

use crate::sighting::{Kind, Network, Runtime, Sighting, State};

/// All that is said of one container or sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Merged {
    /// What it comes to.
    pub(crate) sighting: Sighting,
    /// The sources that know of it, by their numbers.
    pub(crate) sources: Vec<usize>,
    /// The source that its PID is from.
    pub(crate) pid_from: Option<usize>,
}

/// Makes one of all that is `said` of the same thing, each with the number of its source, in the order in
/// which things were first mentioned.
pub(crate) fn merge(said: impl IntoIterator<Item = (usize, Sighting)>) -> Vec<Merged> {
    let mut all: Vec<Merged> = Vec::new();
    let mut places = HashMap::new();
    for (source, sighting) in said {
        match places.get(&sighting.id).and_then(|place: &usize| all.get_mut(*place)) {
            Some(merged) => merged.add(source, sighting),
            None => {
                places.insert(sighting.id.clone(), all.len());
                let pid_from = sighting.pid.is_some().then_some(source);
                all.push(Merged { sighting, sources: vec![source], pid_from });
            }
        }
    }
    all
}

impl Merged {
    /// Adds what `source` has `said` of it.
    pub(crate) fn add(&mut self, source: usize, said: Sighting) {
        if !self.sources.contains(&source) {
            self.sources.push(source);
        }
        let known = &mut self.sighting;
        if matches!(known.kind, Kind::Container { sandbox: None }) {
            known.kind = said.kind;
        }
        for name in said.names {
            if !known.names.contains(&name) {
                known.names.push(name);
            }
        }
        match (&mut known.pod, said.pod) {
            (None, pod) => known.pod = pod,
            (Some(_), None) => {}
            (Some(known), Some(pod)) => {
                known.namespace = known.namespace.take().or(pod.namespace);
                known.name = known.name.take().or(pod.name);
                known.uid = known.uid.take().or(pod.uid);
            }
        }
        if known.runtime == Runtime::Unknown {
            known.runtime = said.runtime;
        }
        if known.state == State::Unknown {
            known.state = said.state;
        }
        if known.network == Network::Unknown {
            known.network = said.network;
        }
        known.handler = known.handler.take().or(said.handler);
        known.namespace = known.namespace.take().or(said.namespace);
        if known.pid.is_none() && said.pid.is_some() {
            known.pid = said.pid;
            self.pid_from = Some(source);
        }
        if known.addresses.is_empty() {
            known.addresses = said.addresses;
        }
        known.created = known.created.or(said.created);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sighting::tests::sightings;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn each_thing_is_there_once_and_nothing_that_was_said_is_lost(
            said in proptest::collection::vec((0usize..4, sightings()), 0..24)
        ) {
            let all = merge(said.clone());
            let mut ids: Vec<_> = all.iter().map(|merged| &merged.sighting.id).collect();
            ids.sort_unstable();
            ids.dedup();
            prop_assert_eq!(ids.len(), all.len());
            for (source, sighting) in &said {
                let merged = all.iter().find(|one| one.sighting.id == sighting.id).unwrap();
                let known = &merged.sighting;
                prop_assert!(merged.sources.contains(source));
                prop_assert!(sighting.names.iter().all(|name| known.names.contains(name)));
                prop_assert!(known.pid.is_some() || sighting.pid.is_none());
                prop_assert!(known.state != State::Unknown || sighting.state == State::Unknown);
                prop_assert!(known.pod.is_some() || sighting.pod.is_none());
                prop_assert_eq!(known.pid.is_some(), merged.pid_from.is_some());
            }
        }

        #[test]
        fn the_first_word_counts(said in proptest::collection::vec((0usize..4, sightings()), 1..24)) {
            for merged in merge(said.clone()) {
                let of_it = || said.iter().filter(|(_, one)| one.id == merged.sighting.id);
                let first_pid = of_it().find_map(|(source, one)| Some((source, one.pid.clone()?)));
                prop_assert_eq!(merged.pid_from, first_pid.as_ref().map(|(source, _)| **source));
                prop_assert_eq!(merged.sighting.pid, first_pid.map(|(_, pid)| pid));
                let state = of_it().map(|(_, one)| one.state).find(|state| *state != State::Unknown);
                prop_assert_eq!(merged.sighting.state, state.unwrap_or(State::Unknown));
            }
        }

        #[test]
        fn what_is_said_twice_changes_nothing(
            said in proptest::collection::vec((0usize..4, sightings()), 0..16)
        ) {
            let once = merge(said.clone());
            let twice = merge(said.iter().chain(&said).cloned());
            prop_assert_eq!(once, twice);
        }
    }
}
