//! The costs of each subject: every workload, round by round, the subjects in turn within each.
//!
//! Idle links come first, once, while the relays have not yet grown: a relay that has carried
//! thousands of links keeps memory for the next ones, and would then show none. After that each
//! round goes through all workloads, and each workload through all subjects (A B C, A B C), so that
//! a slow minute of the machine meets all of them.
//!
//! What a subject fails at once is a warning, and is not tried with it again; a subject that fails
//! at three of them is left alone. The others go on. How long it takes is known before it begins
//! (see `schedule.rs`).

mod contender;
mod schedule;

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::load::failure::Failure;
use crate::load::job::Job;
use crate::load::report::Measurement;
use crate::load::{self, ready};
use crate::noise::Watch;
use crate::placement::{Pinned, Placement};
use crate::stage::{Listening, Stage};
use crate::teller::{Found, Milestone, Teller};

pub(crate) use contender::Contender;
pub use schedule::{Choices, Family, Timing};

use schedule::Schedule;

/// Measurements, and how they were made.
#[derive(Debug)]
pub(crate) struct Costs {
    /// One for each subject, workload and round.
    pub measurements: Vec<Measurement>,
    /// Sentences about what makes them doubtful or is missing.
    pub warnings: Vec<String>,
    /// The ways in which CPU and memory were counted: all that occur.
    pub meter: String,
    /// The placement of load and relays on CPUs.
    pub placement: String,
}

/// Measures `contenders` on `stage`. `tell` hears of each measurement before it is made.
///
/// # Errors
/// When the stage's origin cannot listen to begin with. What a contender fails at is a warning.
pub(crate) fn run(
    stage: &Stage,
    contenders: &[Contender<'_>],
    choices: &Choices,
    tell: Teller<'_>,
) -> Result<Costs, Failure> {
    let placement = Placement::choose();
    let watch = Watch::begin();
    let mut warnings = Vec::new();
    let mut fit = Vec::new();
    for contender in contenders {
        match ready::wait(&contender.dialer, &*origin(stage)?, PATIENCE) {
            Ok(opening) => fit.push((contender, opening)),
            Err(failure) => {
                warnings.push(format!("{} was not measured: {failure}.", contender.name))
            }
        }
    }
    if choices.families.contains(&Family::Idle) {
        warnings.extend(schedule::few_idle_links());
    }
    let pinned = placement.map(|placement| pin(placement, &fit));
    let schedule = Schedule::make(choices, &fit);
    let mut course =
        Course { stage, schedule, measurements: Vec::new(), failures: Failures::default() };
    course.run(tell);
    drop(pinned);

    let Course { measurements, failures, .. } = course;
    warnings.extend(failures.sentences);
    warnings.extend(watch.end(&measurements));
    let meters: BTreeSet<&str> =
        measurements.iter().map(|m| m.meter.as_str()).filter(|name| *name != "none").collect();
    let meter = meters.into_iter().collect::<Vec<_>>().join(", ");
    Ok(Costs { measurements, warnings, meter, placement: Placement::words(placement) })
}

fn pin(placement: Placement, fit: &[(&Contender<'_>, Duration)]) -> Pinned {
    // One whose processes cannot be told stays where it is.
    let relays = fit.iter().filter_map(|(contender, _)| contender.meter.processes().ok()).flatten();
    placement.apply(relays.collect::<Vec<_>>())
}

/// A listener for one measurement: what the last one left in its queue is reset with it.
fn origin(stage: &Stage) -> Result<Listening, Failure> {
    let address = stage.origin();
    stage.listen(address, BACKLOG).map_err(|error| {
        Failure::system(format!("listen on {address} inside {}", stage.target()), error)
    })
}

/// The same, and a copy to be given away.
fn twice(stage: &Stage) -> Result<(Listening, TcpListener), Failure> {
    let origin = origin(stage)?;
    let copy = origin
        .try_clone()
        .map_err(|error| Failure::system("have the origin's listener twice", error))?;
    Ok((origin, copy))
}

struct Course<'a> {
    stage: &'a Stage,
    schedule: Schedule<'a>,
    measurements: Vec<Measurement>,
    failures: Failures,
}

impl Course<'_> {
    /// Makes one measurement after the other. Where the origin cannot listen any more, what has
    /// been measured stays.
    fn run(&mut self, tell: Teller<'_>) {
        let begun = Instant::now();
        let total = self.schedule.turns.len();
        let planned: Duration = self.schedule.turns.iter().map(|turn| turn.expected).sum();
        let mut passed = Duration::ZERO;
        for (done, turn) in self.schedule.turns.iter().enumerate() {
            let workload = turn.workload.case();
            let subject = turn.contender.name.as_str();
            let what = format!("{subject}, {workload}");
            let left = Some(remaining(begun.elapsed(), passed, planned));
            let found = Found::Costs(&self.measurements);
            if tell(&Milestone { done, total, what: &what, left, found }).is_break() {
                break;
            }
            passed += turn.expected;
            if self.failures.rule_out(subject, &workload) {
                continue;
            }
            let mut job = Job::new(turn.workload);
            subject.clone_into(&mut job.peer);
            (job.round, job.window, job.warmup) = (turn.round, turn.window, turn.warmup);
            job.patience = PATIENCE;
            let (_origin, listener) = match twice(self.stage) {
                Ok(both) => both,
                Err(failure) => {
                    self.failures.sentences.push(format!("The rest was not measured: {failure}."));
                    break;
                }
            };
            match load::measure(&job, &turn.contender.dialer, listener, &turn.contender.meter) {
                Ok(measurement) => self.measurements.push(measurement),
                Err(failure) => self.failures.add(subject, &workload, &failure),
            }
        }
    }
}

/// The time that is left of `planned` after `passed` of it took `elapsed`. Early on, experience is worth
/// little.
fn remaining(elapsed: Duration, passed: Duration, planned: Duration) -> Duration {
    let left = planned.saturating_sub(passed);
    if passed < planned / 20 {
        return left;
    }
    left.mul_f64(elapsed.as_secs_f64() / passed.as_secs_f64())
}

/// Failures, by subject and workload.
#[derive(Debug, Default)]
struct Failures {
    seen: BTreeSet<(String, String)>,
    sentences: Vec<String>,
}

impl Failures {
    fn add(&mut self, subject: &str, workload: &str, failure: &Failure) {
        self.seen.insert((subject.to_owned(), workload.to_owned()));
        self.sentences.push(format!("{subject} failed at {workload}: {failure}."));
        if self.count(subject) == MOST_FAILURES {
            self.sentences.push(format!(
                "{subject} has failed {MOST_FAILURES} times, so the rest was not tried with it."
            ));
        }
    }

    fn rule_out(&self, subject: &str, workload: &str) -> bool {
        self.count(subject) >= MOST_FAILURES
            || self.seen.iter().any(|(who, what)| who == subject && what == workload)
    }

    fn count(&self, subject: &str) -> usize {
        self.seen.iter().filter(|(who, _)| who == subject).count()
    }
}

/// Failures after which a subject will go on failing, slowly.
const MOST_FAILURES: usize = 3;

/// Longest time of a relay that runs already to a link.
const PATIENCE: Duration = Duration::from_secs(4);

/// Connections that may wait for the origin: bursts are all there is.
const BACKLOG: i32 = 4096;

#[cfg(test)]
mod tests;
