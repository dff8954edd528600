//! What is said of the containers of a node, taken down.
//!
//! Everybody is asked at once for a list, so that one who is slow holds up nobody; what they say is taken
//! down in their order, for the first one's word counts. Of what a runtime has told itself, its files may
//! only add what it left out: they may be old.

use std::collections::HashSet;
use std::panic::resume_unwind;
use std::thread;

use crate::root::Root;
use crate::sighting::{Runtime, Sighting, State};
use crate::source::{Source, SourceError};

/// What was said so far.
#[derive(Debug, Default)]
pub(crate) struct Said {
    /// Each with the number of the source.
    pub(crate) all: Vec<(usize, Sighting)>,
    /// Of which runtimes that came first hand.
    first_hand: HashSet<Runtime>,
}

impl Said {
    /// Adds what `source` has `told`.
    pub(crate) fn add(&mut self, number: usize, source: &Source, mut told: Vec<Sighting>) {
        if source.is_hearsay() && !self.first_hand.is_empty() {
            let known: HashSet<&str> = self.all.iter().map(|(_, one)| one.id.as_str()).collect();
            let first_hand = &self.first_hand;
            told.retain_mut(|one| {
                if !first_hand.contains(&one.runtime) {
                    return true;
                }
                // Lists have no PIDs; what it is called and whether it runs is the runtime's to tell.
                one.names.clear();
                one.state = State::Unknown;
                known.contains(one.id.as_str())
            });
        }
        self.first_hand.extend(source.speaks_for());
        self.all.extend(told.into_iter().map(|one| (number, one)));
    }
}

/// A source with its number, and what it has told.
pub(crate) type Told<'a> = (usize, &'a Source, Result<Vec<Sighting>, SourceError>);

/// What each of `asked` lists below `root`, in their order: each is asked by a thread of its own, where
/// there can be one.
pub(crate) fn list_at_once<'a>(root: &Root, asked: Vec<(usize, &'a Source)>) -> Vec<Told<'a>> {
    thread::scope(|scope| {
        let asking: Vec<_> = asked
            .into_iter()
            .map(|(number, source)| {
                let ask = move || source.list(root);
                let thread = thread::Builder::new().name("source".to_owned());
                (number, source, thread.spawn_scoped(scope, ask))
            })
            .collect();
        let answered = asking.into_iter().map(|(number, source, thread)| {
            let told = match thread.map(thread::ScopedJoinHandle::join) {
                Ok(Ok(told)) => told,
                Ok(Err(panic)) => resume_unwind(panic),
                Err(_) => source.list(root),
            };
            (number, source, told)
        });
        answered.collect()
    })
}
