//! The findings of a comparison: the one shape that the table, the JSON and the page are made from.
//!
//! Everything here is plain data that survives being written and read back. Nothing is summed up: a
//! measurement is kept for each round, so that whoever reads the JSON can compute other figures
//! than ours. The JSON is documented in `SCHEMA.md`; fields are only ever added under one name of
//! [`SCHEMA`], so an older reader goes on working.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::load::report::{Figure, Measurement};

/// The name of the shape.
pub const SCHEMA: &str = "nsplice-compare/1";

/// One run of `nsplice compare`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// [`SCHEMA`].
    pub schema: String,
    /// The version of nsplice that measured.
    pub version: String,
    /// Its beginning, as RFC 3339 in UTC.
    pub started: String,
    /// The time it took, in seconds.
    pub seconds: f64,
    /// The machine it ran on.
    pub machine: Machine,
    /// Between which namespaces.
    pub stage: StageFacts,
    /// The subjects, in the order of rows and columns.
    pub subjects: Vec<SubjectFacts>,
    /// The behaviour of each subject; empty if it was not asked for.
    pub behaviours: Vec<Behaviour>,
    /// The costs of each subject, one entry for each subject, workload and round.
    pub measurements: Vec<Measurement>,
    /// Sentences about what makes the figures doubtful.
    pub warnings: Vec<String>,
    /// The change since an older comparison, if it was set against one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<Change>,
}

impl Comparison {
    /// Counts the behaviours that `subject` has as expected, and those that were tried with it.
    pub fn score(&self, subject: &str) -> (usize, usize) {
        let results =
            || self.behaviours.iter().filter_map(|b| b.verdict(subject)).map(|v| v.result);
        (
            results().filter(|&r| r == Passed::Yes).count(),
            results().filter(|&r| r != Passed::NotTried).count(),
        )
    }

    /// The names of the subjects whose behaviour was asked for, in their order.
    pub fn behaving(&self) -> Vec<&str> {
        let names = self.subjects.iter().map(|subject| subject.name.as_str());
        names.filter(|name| self.behaviours.iter().any(|b| b.verdict(name).is_some())).collect()
    }
}

impl Behaviour {
    /// Returns the verdict on `subject`, if it was tried or could have been.
    pub fn verdict(&self, subject: &str) -> Option<&Verdict> {
        self.verdicts.iter().find(|v| v.subject == subject)
    }

    /// Returns the verdicts on those who do not have it as expected.
    pub fn failures(&self) -> impl Iterator<Item = &Verdict> {
        self.verdicts.iter().filter(|v| v.result == Passed::No)
    }
}

/// The machine, and what decides how fast things are on it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The release of the kernel, e.g. `6.12.48`.
    pub kernel: String,
    /// The processor, as /proc/cpuinfo names it.
    pub processor: String,
    /// CPUs that this process may use.
    pub cpus: usize,
    /// Bytes of memory.
    pub memory: u64,
    /// TCP's congestion control where the links are.
    pub congestion_control: String,
    /// Limits that matter, by their name in `nsplice check --output json`.
    pub limits: BTreeMap<String, Option<u64>>,
    /// Versions of the programs that take part, by name; `None` for one that does not tell.
    pub tools: BTreeMap<String, Option<String>>,
    /// The way in which CPU and memory were counted, e.g. `cgroup v2` or `process tree`.
    pub meter: String,
    /// The placement of load and relays, e.g. `load on CPU 0, relays on CPU 1`.
    pub placement: String,
}

/// The stage that clients and servers were on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageFacts {
    /// The target as nsplice was told of it, e.g. `docker/web`; `None` for namespaces of our own.
    pub target: Option<String>,
    /// The address that our servers listened on, inside the target.
    pub origin: String,
    /// The namespace of the target, e.g. `net:[4026532000]`.
    pub namespace: Option<String>,
}

/// One way of reaching the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubjectFacts {
    /// Its name, and its key everywhere else.
    pub name: String,
    /// Its kind.
    pub kind: SubjectKind,
    /// The command line that was run, or the address of a relay that ran already.
    pub command: String,
    /// The reason why it was not measured.
    pub missing: Option<String>,
}

/// A kind of subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SubjectKind {
    /// A connect from inside, without a relay: the yardstick.
    Direct,
    /// The bare loop: what the system calls alone cost.
    Floor,
    /// A backend of nsplice.
    Backend,
    /// nsplice with another program for each connection.
    Command,
    /// Another relay.
    Peer,
}

impl SubjectKind {
    /// Returns whether it is there to be compared with, and not a candidate.
    pub fn is_yardstick(self) -> bool {
        matches!(self, Self::Direct | Self::Floor)
    }
}

/// One behaviour, and how each subject has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Behaviour {
    /// Its key, e.g. `half-close-down-0.7s`.
    pub name: String,
    /// The expectation, as a sentence for people.
    pub expected: String,
    /// Its group, e.g. `half-close`.
    pub group: String,
    /// One for each subject that was tried, in the order of the subjects.
    pub verdicts: Vec<Verdict>,
}

/// The verdict on one subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The name of the subject.
    pub subject: String,
    /// The result: whether it did what is expected.
    pub result: Passed,
    /// The observation, or the reason why it was not tried.
    pub seen: String,
    /// The reason why it is known not to do what is expected, for a backend that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known: Option<String>,
}

/// The result of a behaviour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Passed {
    /// It was.
    Yes,
    /// It was not.
    No,
    /// It cannot be tried with this subject, or not here.
    NotTried,
}

/// The change since an older comparison.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The beginning of the older one.
    pub since: String,
    /// The version of nsplice that made the older one.
    pub version: String,
    /// Sentences about what else is different and may be why.
    pub doubts: Vec<String>,
    /// Behaviours that were as expected in one of the two only.
    pub behaviours: Vec<BehaviourChange>,
    /// Every figure that both have, changed or not.
    pub figures: Vec<FigureChange>,
}

/// A behaviour that was as expected in one of two comparisons only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BehaviourChange {
    /// The key of the behaviour.
    pub name: String,
    /// The name of the subject.
    pub subject: String,
    /// As it was.
    pub old: Passed,
    /// As it is.
    pub new: Passed,
    /// The observation now.
    pub seen: String,
}

/// One figure of one subject in two comparisons.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FigureChange {
    /// The workload.
    pub workload: String,
    /// The name of the subject.
    pub subject: String,
    /// The figure.
    pub figure: Figure,
    /// The older median.
    pub old: f64,
    /// The newer median.
    pub new: f64,
    /// The difference in percent of the older one; `None` if that is zero.
    pub percent: Option<f64>,
    /// Rounds that the older median is of.
    pub old_rounds: usize,
    /// Rounds that the newer median is of.
    pub new_rounds: usize,
    /// The probability of ranks as different as these by chance alone.
    pub p: f64,
    /// The finding from that.
    pub finding: Finding,
}

/// The finding of a test of two sets of rounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finding {
    /// Different, and for the better.
    Better,
    /// Different, and for the worse.
    Worse,
    /// No difference was found.
    Same,
    /// So few rounds could not have shown one.
    TooFew,
}
