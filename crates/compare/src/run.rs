//! A comparison from its beginning to its end.
//!
//! First the behaviours, each subject started afresh for them; then what openings cost by
//! themselves; then everything that a load generator measures, with each subject in a control group
//! of its own. What cannot be had here (a backend without its tools, a target that has none) is not
//! measured and says why; the rest goes on.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nsplice_backend::Choice;

use crate::conformance;
use crate::cost::{self, Choices, Contender, Family, Timing};
use crate::floor;
use crate::group::{self, Group};
use crate::load::failure::Failure;
use crate::load::report::Measurement;
use crate::machine;
use crate::model::{Behaviour, Comparison, SubjectFacts, SubjectKind, SCHEMA};
use crate::opening::{self, Way};
use crate::placement;
use crate::request::{Request, RequestError};
use crate::stage::{Birth, Stage, StageError};
use crate::subject::{Launcher, Means, Route, Running, Subject, DIRECT, FLOOR};
use crate::teller::{Found, Milestone, Teller};

/// An error that keeps a comparison from being made.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// It was asked for something that makes no sense.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// There is nothing to compare on.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// The measuring itself failed.
    #[error(transparent)]
    Measuring(#[from] Failure),
}

/// Compares on `stage`, which was opened from the scenery of the request.
///
/// # Errors
/// When the request makes no sense, or the stage is gone. What goes wrong with one subject is told
/// in the result.
pub fn run(request: &Request, stage: &Stage, tell: Teller<'_>) -> Result<Comparison, CompareError> {
    request.check()?;
    let (started, begun) = (machine::now(), Instant::now());
    let mut found = Findings::default();
    let mut flow = ControlFlow::Continue(());
    if let Some(extent) = request.extent {
        let launcher = launcher(request, Vec::new());
        let cases: Vec<_> =
            conformance::cases().iter().filter(|case| case.extent <= extent).collect();
        (found.behaviours, flow) =
            conformance::run(stage, &launcher, &request.subjects, &cases, tell)?;
    }
    let mut machine = machine::examine(&request.scenery.options, &peer_pids(request));
    if let (Some(choices), ControlFlow::Continue(())) = (&request.choices, flow) {
        let costs = measure(request, stage, choices, tell, &mut found)?;
        (machine.meter, machine.placement) = costs;
    } else {
        let launcher = launcher(request, Vec::new());
        let facts = |subject: &Subject| subject.facts(stage, &launcher, None);
        found.subjects = request.subjects.iter().map(facts).collect();
    }
    Ok(Comparison {
        schema: SCHEMA.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started,
        seconds: begun.elapsed().as_secs_f64(),
        machine,
        stage: stage.facts(),
        subjects: found.subjects,
        behaviours: found.behaviours,
        measurements: found.measurements,
        warnings: found.warnings,
        change: None,
    })
}

/// A comparison on `stage` that has found nothing yet: what there is to be said all the same.
pub fn outline(request: &Request, stage: &Stage) -> Comparison {
    let launcher = launcher(request, Vec::new());
    let subjects = request.subjects.iter().map(|subject| subject.facts(stage, &launcher, None));
    let yardsticks = request.choices.iter().flat_map(|_| [direct(), floor_facts(None)]);
    Comparison {
        schema: SCHEMA.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started: machine::now(),
        seconds: 0.0,
        machine: machine::examine(&request.scenery.options, &peer_pids(request)),
        stage: stage.facts(),
        subjects: yardsticks.chain(subjects).collect(),
        behaviours: Vec::new(),
        measurements: Vec::new(),
        warnings: Vec::new(),
        change: None,
    }
}

/// Takes back what would outlive this process: CPUs that relays of others were put on, and control
/// groups with what is in them. For a program that is about to exit without dropping anything.
pub fn abandon() {
    placement::end_all();
    group::end_all();
}

/// The findings so far.
#[derive(Debug, Default)]
struct Findings {
    subjects: Vec<SubjectFacts>,
    behaviours: Vec<Behaviour>,
    measurements: Vec<Measurement>,
    warnings: Vec<String>,
}

fn launcher(request: &Request, groups: Vec<PathBuf>) -> Launcher {
    let program = request.scenery.program.clone();
    Launcher { program, options: request.scenery.options.clone(), groups }
}

fn peer_pids(request: &Request) -> Vec<u32> {
    let pid = |subject: &Subject| match &subject.means {
        Means::Peer(peer) => peer.pid,
        Means::Backend { .. } | Means::Command(_) => None,
    };
    request.subjects.iter().filter_map(pid).collect()
}

/// A relay that was to be started, and its group.
struct Started {
    facts: SubjectFacts,
    birth: Birth,
    // Ended before its group is taken away.
    running: Option<Running>,
    group: Option<Group>,
}

impl Started {
    fn subject(subject: &Subject, request: &Request, stage: &Stage) -> Self {
        let is_ours = !matches!(subject.means, Means::Peer(_));
        let group = is_ours.then(|| Group::make(&subject.name).ok()).flatten();
        let launcher = launcher(request, directories(group.as_ref()));
        let running = subject.start(stage, &launcher, &Route::default());
        let facts = subject.facts(stage, &launcher, running.as_ref().err());
        Self { facts, birth: subject.birth(), running: running.ok(), group }
    }

    fn floor(request: &Request, stage: &Stage, group: Option<Group>) -> Self {
        let running = floor::start(&request.scenery.program, stage, &directories(group.as_ref()));
        let missing = running.as_ref().err().map(ToString::to_string);
        let facts = floor_facts(missing);
        Self { facts, birth: Birth::Node, running: running.ok(), group }
    }

    /// It as one who is measured, if it runs.
    fn contender<'a>(&self, stage: &'a Stage) -> Option<Result<Contender<'a>, Failure>> {
        let running = self.running.as_ref()?;
        let SubjectFacts { name, kind, .. } = &self.facts;
        let groups = directories(self.group.as_ref());
        Some(Contender::relay(stage, name, *kind, self.birth, running, &groups))
    }
}

fn directories(group: Option<&Group>) -> Vec<PathBuf> {
    group.map(|group| group.directories().to_vec()).unwrap_or_default()
}

/// Measures everything, and returns how it was counted and placed.
fn measure(
    request: &Request,
    stage: &Stage,
    choices: &Choices,
    tell: Teller<'_>,
    found: &mut Findings,
) -> Result<(String, String), CompareError> {
    if choices.families.contains(&Family::Open) {
        open(request, stage, choices, tell, found);
    }
    let subjects: Vec<_> =
        request.subjects.iter().map(|one| Started::subject(one, request, stage)).collect();
    let floor_group =
        Group::make(FLOOR).map_err(|no_group| found.warnings.push(format!("{no_group}."))).ok();
    let floor = Started::floor(request, stage, floor_group);

    let mut contenders = vec![Contender::direct(stage)];
    found.subjects.push(direct());
    for one in std::iter::once(&floor).chain(&subjects) {
        match one.contender(stage) {
            Some(Ok(contender)) => contenders.push(contender),
            Some(Err(failure)) => {
                found.warnings.push(format!("{} was not measured: {failure}.", one.facts.name));
            }
            None => {}
        }
        found.subjects.push(one.facts.clone());
    }
    let costs = cost::run(stage, &contenders, choices, tell)?;
    found.measurements.extend(costs.measurements);
    found.warnings.extend(costs.warnings);
    Ok((costs.meter, costs.placement))
}

fn direct() -> SubjectFacts {
    yardstick(DIRECT, SubjectKind::Direct, "a connect made inside", None)
}

fn floor_facts(missing: Option<String>) -> SubjectFacts {
    let what = "the system calls of a relay and nothing else";
    yardstick(FLOOR, SubjectKind::Floor, what, missing)
}

fn yardstick(name: &str, kind: SubjectKind, what: &str, missing: Option<String>) -> SubjectFacts {
    SubjectFacts { name: name.to_owned(), kind, command: what.to_owned(), missing }
}

/// Measures openings by themselves, of each backend that is among the subjects.
fn open(
    request: &Request,
    stage: &Stage,
    choices: &Choices,
    tell: Teller<'_>,
    found: &mut Findings,
) {
    let ways: Vec<Way> =
        std::iter::once(Way::Direct).chain(request.subjects.iter().filter_map(way)).collect();
    let slots = u32::try_from(ways.len()).unwrap_or(u32::MAX).saturating_mul(choices.rounds);
    let window = match choices.timing {
        Timing::Window(window) => window,
        Timing::Whole(whole) => (whole / OPENING_SHARE / slots.max(1)).min(LONGEST_OPENING),
    };
    let mut failed = Vec::new();
    let turns = (1..=choices.rounds).flat_map(|round| ways.iter().map(move |way| (round, *way)));
    for (index, (round, way)) in turns.enumerate() {
        let what = format!("{}, {}", way.name(), opening::WORKLOAD);
        let left = window * (slots - u32::try_from(index).unwrap_or(slots).min(slots));
        let found_so_far = Found::Openings(&found.measurements);
        let (total, left) = (slots as usize, Some(left));
        let milestone = Milestone { done: index, total, what: &what, left, found: found_so_far };
        if tell(&milestone).is_break() {
            return;
        }
        if failed.contains(&way) {
            continue;
        }
        match opening::measure(way, stage, &request.scenery.options, window, round) {
            Ok(measurement) => found.measurements.push(measurement),
            Err(failure) => {
                failed.push(way);
                let name = way.name();
                found.warnings.push(format!("{name} failed at {}: {failure}.", opening::WORKLOAD));
            }
        }
    }
}

/// The way of a subject's openings: only whole backends have one of their own.
fn way(subject: &Subject) -> Option<Way> {
    match subject.means {
        Means::Backend { backend, splice: true } if backend != Choice::Auto => {
            Some(Way::Backend(backend))
        }
        _ => None,
    }
}

/// Of the time for all costs, one part in so many is for openings alone.
const OPENING_SHARE: u32 = 20;

/// Openings are thousands in this time, or a hundred with a child for each.
const LONGEST_OPENING: Duration = Duration::from_millis(500);
