//! The residents of a node: all pods and containers that run there, each taken hold of while it is looked
//! at.
//!
//! Lists leave things out that a look-up needs (Docker's and CRI's have no PIDs). State directories and
//! control groups mostly know them; whose place nobody knows, its runtime is asked about, of a few. What
//! turns out to be gone is no resident. A process is held by two descriptors, and a node may have more
//! containers than we may have descriptors: so residents come one after the other, and whoever gets one
//! lets go of it before the next.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime};

use crate::decide::{everything, sandbox_of, Choice};
use crate::directory::Directory;
use crate::found::{is_sandboxed, Found, Labels};
use crate::hold::NotHeld;
use crate::merge::Merged;
use crate::sighting::{self, Network, Sighting};
use crate::source::{Source, SourceError};
use crate::state::State;
use crate::unfound::Answer;
use crate::wanted::Wanted;
use crate::words::words;

/// A pod or container that runs.
#[derive(Debug)]
pub struct Resident {
    /// Which of them it is.
    pub rank: Rank,
    /// The words that mean it; `None` where nothing could be written that means nothing else.
    pub wanted: Option<Wanted>,
    /// The runtime's ID of it.
    pub id: String,
    /// What it is called.
    pub labels: Labels,
    /// Its first process, as it is said to be.
    pub pid: Option<u32>,
    /// Whose network it has, as it is said.
    pub network: Network,
    /// When it was made.
    pub created: Option<SystemTime>,
    /// The IDs of the containers that it consists of.
    pub members: Vec<String>,
    /// Where it is; `None` where it cannot be taken hold of.
    pub found: Option<Found>,
}

/// Whether something is a pod, or a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rank {
    /// A pod.
    Pod,
    /// A container, which may be one of the pod whose sandbox or container has this ID.
    Container {
        /// The resident that is its pod.
        pod: Option<String>,
    },
}

impl Directory {
    /// Shows `each` resident, the pods first, and returns who could not be asked about more. Blocks for as
    /// long as they take.
    pub fn residents(&self, mut each: impl FnMut(Resident)) -> Vec<Answer> {
        let (mut all, answers) = self.list_merged(|_| true);
        self.complete(&mut all);
        let everything = everything(&all);
        let words = words(&everything);
        let mut pods: HashMap<&str, &str> = HashMap::new();
        for pod in &everything.pods {
            let id = pod.subject.sighting.id.as_str();
            pods.extend(pod.ways.iter().map(|way| (way.sighting.id.as_str(), id)));
            pods.extend(sandbox_of(&pod.subject.sighting).map(|sandbox| (sandbox, id)));
        }
        let pod_of = |one: &Sighting| {
            let sandbox = sandbox_of(one).and_then(|sandbox| pods.get(sandbox));
            sandbox.or_else(|| pods.get(one.id.as_str())).map(|id| (*id).to_owned())
        };
        let ranked = everything.pods.iter().map(|choice| (choice, Rank::Pod)).chain(
            everything
                .containers
                .iter()
                .map(|choice| (choice, Rank::Container { pod: pod_of(&choice.subject.sighting) })),
        );
        for ((choice, rank), wanted) in ranked.zip(words) {
            if let Some(resident) = self.resident(choice, rank, wanted) {
                each(resident);
            }
        }
        self.unheard(answers)
    }

    /// What was chosen, unless it is gone.
    fn resident(
        &self,
        choice: &Choice<'_>,
        rank: Rank,
        wanted: Option<Wanted>,
    ) -> Option<Resident> {
        let found = match self.take(choice) {
            Ok(found) => Some(found),
            Err(NotHeld::Gone) => return None,
            // That it runs has only been said by those who may be wrong.
            Err(_) if choice.subject.sighting.state != sighting::State::Running => return None,
            Err(NotHeld::Unknown | NotHeld::Refused(..)) => None,
        };
        let one = &choice.subject.sighting;
        let held = found.as_ref().and_then(|found| found.process()).map(|process| process.pid());
        let all = || std::iter::once(choice.subject).chain(choice.ways.iter().copied());
        let mut members: Vec<String> = all().map(|each| each.sighting.id.clone()).collect();
        members.dedup();
        Some(Resident {
            rank,
            wanted,
            id: one.id.clone(),
            labels: found.as_ref().map_or_else(|| Labels::of(one), |found| found.labels.clone()),
            pid: held.or_else(|| one.pid.as_ref().map(|claimed| claimed.pid)),
            network: one.network.clone(),
            created: one.created,
            members,
            found,
        })
    }

    /// Those of all the `answers` in the order of the sources that are none, though somebody is there who
    /// may know more.
    fn unheard(&self, answers: Vec<Answer>) -> Vec<Answer> {
        let answered: Vec<&Source> = self
            .sources()
            .iter()
            .zip(&answers)
            .filter(|(_, answer)| answer.said.is_ok())
            .map(|(source, _)| source)
            .collect();
        let mut sources = self.sources().iter();
        let mut unheard = answers;
        unheard.retain(|answer| {
            let Some(source) = sources.next() else { return false };
            match (&answer.said, source) {
                (Ok(_), _) | (Err(SourceError::Absent), _) => false,
                (Err(_), Source::State(state)) => !answered.iter().any(|api| is_of(state, api)),
                (Err(_), _) => true,
            }
        });
        unheard
    }

    /// Asks the runtimes about those that nobody could enter with what is known.
    fn complete(&self, all: &mut [Merged]) {
        let deadline = Instant::now() + TIMEOUT;
        let mut left = MOST_ASKED;
        let mut silent = Vec::new();
        for merged in all.iter_mut().filter(|one| is_incomplete(&one.sighting)) {
            let apis = self.sources().iter().enumerate().filter(|(number, source)| {
                matches!(source, Source::Cri(_) | Source::Engine(_))
                    && merged.sources.contains(number)
                    && !silent.contains(number)
            });
            let Some((number, source)) = apis.into_iter().next() else { continue };
            if left == 0 || Instant::now() >= deadline {
                return;
            }
            left -= 1;
            match source.again(self.root(), &merged.sighting) {
                Ok(Some(now)) => merged.add(number, now),
                Ok(None) => merged.sighting.state = sighting::State::Stopped,
                Err(_) => silent.push(number),
            }
        }
    }
}

/// Whether `state` is written by the runtime behind `api`, which has told itself what it knows.
fn is_of(state: &State, api: &Source) -> bool {
    match api {
        Source::Cri(cri) => cri.socket().starts_with(state.path()),
        Source::Engine(engine) => state.is_written_by(engine.flavour),
        Source::State(_) | Source::Processes(_) => false,
    }
}

/// Whether there is no way to what runs.
fn is_incomplete(one: &Sighting) -> bool {
    let is_open = one.pid.is_some() || one.namespace.is_some() || one.network == Network::Host;
    let is_behind = one.handler.as_deref().is_some_and(is_sandboxed) && one.addresses.is_empty();
    one.state != sighting::State::Stopped && (!is_open || is_behind && one.is_sandbox())
}

/// An answer takes a millisecond or two.
const MOST_ASKED: usize = 128;

/// A runtime that answers slowly holds a list up for so long once more.
const TIMEOUT: Duration = Duration::from_secs(2);
