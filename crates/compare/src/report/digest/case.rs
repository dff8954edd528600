//! A case: one workload, with a row for each subject.

use std::collections::{BTreeMap, BTreeSet};

use super::section::Section;
use crate::load::latency::Quantile;
use crate::load::report::{Better, Figure, Measurement};
use crate::model::{Comparison, SubjectFacts, SubjectKind};
use crate::report::stats::Spread;

/// A round is disturbed when others used more than this share of one CPU.
pub(crate) const DISTURBED: f64 = 0.2;

/// The mark of a subject all of whose rounds were disturbed.
pub(crate) const NEVER_CALM: char = '~';

/// The beginning of a stand-in's name, before the name of the other.
pub(super) const STAND_IN: &str = "nsplice-";

/// Returns whether `subject` is nsplice in the place of another.
pub(crate) fn is_stand_in(subject: &str) -> bool {
    subject.starts_with(STAND_IN)
}

/// One workload.
#[derive(Debug)]
pub(crate) struct Case<'a> {
    /// Its name.
    pub workload: &'a str,
    /// Its subject.
    pub section: Section,
    /// The ways in which CPU and memory of relays were counted.
    pub meters: Vec<&'a str>,
    /// The figures that reports show, in the order of columns.
    pub figures: Vec<Figure>,
    /// The subjects that were measured.
    pub rows: Vec<Row<'a>>,
}

/// One subject under one workload.
#[derive(Debug)]
pub(crate) struct Row<'a> {
    /// Its name.
    pub subject: &'a str,
    /// Its kind.
    pub kind: SubjectKind,
    /// True if there was a round that others did not disturb.
    pub calm: bool,
    /// The rounds that count, figure by figure.
    pub values: BTreeMap<Figure, Vec<f64>>,
    /// The distribution of latencies: at each share the median of the rounds.
    pub latencies: Vec<Quantile>,
}

impl Row<'_> {
    /// The rounds of `figure`, summed up.
    pub(crate) fn spread(&self, figure: Figure) -> Option<Spread> {
        self.values.get(&figure).and_then(|values| Spread::of(values))
    }

    /// `figure` in words, if it was measured and is one for people.
    pub(crate) fn told(&self, figure: Figure) -> Option<Told> {
        let (column, spread) = (figure.column()?, self.spread(figure)?);
        let range = (spread.least < spread.most)
            .then(|| format!("{} - {}", column.format(spread.least), column.format(spread.most)));
        Some(Told { median: column.format(spread.median), range, wide: spread.is_wide() })
    }
}

/// A figure of one subject, as every report shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    /// The median of the rounds.
    pub median: String,
    /// The least and the most, where they differ.
    pub range: Option<String>,
    /// True if they differ so much that the median says little.
    pub wide: bool,
}

/// All cases of a comparison.
pub(crate) fn cases(comparison: &Comparison) -> Vec<Case<'_>> {
    let subjects = in_order_of_rows(&comparison.subjects);
    let mut cases: Vec<Case<'_>> =
        in_order(comparison.measurements.iter().map(|m| m.workload.as_str()))
            .into_iter()
            .map(|workload| Case::new(workload, &subjects, &comparison.measurements))
            .collect();
    cases.sort_by_key(|case| case.section);
    cases
}

/// `subjects` in the order of rows: the yardsticks first, then as the comparison has them.
pub(in crate::report) fn in_order_of_rows<'a>(
    subjects: impl IntoIterator<Item = &'a SubjectFacts>,
) -> Vec<(&'a str, SubjectKind)> {
    let mut subjects: Vec<_> = subjects.into_iter().map(|s| (s.name.as_str(), s.kind)).collect();
    subjects.sort_by_key(|(_, kind)| match kind {
        SubjectKind::Direct => 0,
        SubjectKind::Floor => 1,
        SubjectKind::Backend | SubjectKind::Command | SubjectKind::Peer => 2,
    });
    subjects
}

/// Each of `names` once, in the order in which they first appear.
pub(in crate::report) fn in_order<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = Vec::new();
    for name in names {
        if !seen.contains(&name) {
            seen.push(name);
        }
    }
    seen
}

impl<'a> Case<'a> {
    fn new(workload: &'a str, subjects: &[(&'a str, SubjectKind)], all: &'a [Measurement]) -> Self {
        let members: Vec<&Measurement> = all.iter().filter(|m| m.workload == workload).collect();
        let section = Section::of(workload);
        let mut rows: Vec<Row<'a>> = subjects
            .iter()
            .filter_map(|&(subject, kind)| {
                let own: Vec<&Measurement> =
                    members.iter().copied().filter(|m| m.subject == subject).collect();
                Row::new(subject, kind, &own)
            })
            .collect();
        if is_one_link(workload) {
            add_what_is_added(&mut rows);
        }
        let figures: BTreeSet<Figure> = rows
            .iter()
            .flat_map(|row| row.values.keys().copied())
            .filter(|&figure| is_told(figure))
            .collect();
        let relayed = |m: &&&Measurement| {
            rows.iter().any(|row| row.subject == m.subject && row.kind != SubjectKind::Direct)
        };
        let meters = in_order(members.iter().filter(relayed).map(|m| m.meter.as_str()));
        Self { workload, section, meters, figures: figures.into_iter().collect(), rows }
    }

    /// Returns whether it tells the length of a round trip. With more links latency is mostly
    /// waiting in line.
    pub(crate) fn is_one_link(&self) -> bool {
        is_one_link(self.workload)
    }

    /// The row of `subject`.
    pub(crate) fn row(&self, subject: &str) -> Option<&Row<'a>> {
        self.rows.iter().find(|row| row.subject == subject)
    }

    /// The best of all candidates but stand-ins in `figure`, if there are two to choose from and it
    /// is ahead of all others by more than noise ([`Spread::is_apart`]).
    pub(crate) fn best(&self, figure: Figure) -> Option<&'a str> {
        let is_candidate = |row: &&Row<'a>| !row.kind.is_yardstick() && !is_stand_in(row.subject);
        let candidates: Vec<&Row<'a>> = self.rows.iter().filter(is_candidate).collect();
        let (name, _) = best_of(&candidates, figure)?;
        let spreads = candidates.iter().filter_map(|row| Some((row.subject, row.spread(figure)?)));
        let (best, others): (Vec<_>, Vec<_>) = spreads.partition(|(subject, _)| *subject == name);
        let ahead = |(_, best): &(&str, Spread)| others.iter().all(|(_, it)| best.is_apart(it));
        (!others.is_empty() && best.iter().all(ahead)).then_some(name)
    }
}

fn is_one_link(workload: &str) -> bool {
    workload.starts_with("ping-pong 1 x ")
}

impl<'a> Row<'a> {
    fn new(subject: &'a str, kind: SubjectKind, own: &[&Measurement]) -> Option<Self> {
        let calm = own.iter().any(|m| is_calm(m));
        let mut values: BTreeMap<Figure, Vec<f64>> = BTreeMap::new();
        for one in own.iter().filter(|m| is_calm(m) == calm) {
            for (&figure, &value) in &one.figures {
                values.entry(figure).or_default().push(value);
            }
        }
        let latencies = distribution(own.iter().filter(|m| is_calm(m) == calm));
        (!own.is_empty()).then_some(Self { subject, kind, calm, values, latencies })
    }
}

/// Returns whether `figure` says something of a subject. Others, such as how busy the load was,
/// only explain.
fn is_told(figure: Figure) -> bool {
    figure == Figure::MaxMicros || figure.column().is_some_and(|c| c.better != Better::Neither)
}

/// Returns whether others left the machine alone while it was made.
pub(crate) fn is_calm(one: &Measurement) -> bool {
    one.figures.get(&Figure::OthersBusy).is_none_or(|&others| others <= DISTURBED)
}

/// The median of the rounds at each share that they tell of.
fn distribution<'a>(rounds: impl Iterator<Item = &'a &'a Measurement>) -> Vec<Quantile> {
    let mut points: Vec<(f64, Vec<f64>)> = Vec::new();
    for one in rounds.flat_map(|m| &m.latencies) {
        match points.iter_mut().find(|(share, _)| share.total_cmp(&one.share).is_eq()) {
            Some((_, micros)) => micros.push(one.micros),
            None => points.push((one.share, vec![one.micros])),
        }
    }
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    points
        .into_iter()
        .filter_map(|(share, micros)| {
            Spread::of(&micros).map(|spread| Quantile { share, micros: spread.median })
        })
        .collect()
}

/// The best median in `figure`, and whose it is.
pub(super) fn best_of<'a>(rows: &[&Row<'a>], figure: Figure) -> Option<(&'a str, f64)> {
    let medians = rows.iter().filter_map(|row| Some((row.subject, row.spread(figure)?.median)));
    match figure.column()?.better {
        Better::More => medians.max_by(|a, b| a.1.total_cmp(&b.1)),
        Better::Less => medians.min_by(|a, b| a.1.total_cmp(&b.1)),
        Better::Neither => None,
    }
}

/// Adds to each relay's row by how much its round trips are longer than direct ones.
fn add_what_is_added(rows: &mut [Row<'_>]) {
    let direct = rows
        .iter()
        .find(|row| row.kind == SubjectKind::Direct)
        .and_then(|row| row.spread(Figure::P50Micros));
    let Some(direct) = direct else { return };
    for row in rows.iter_mut().filter(|row| row.kind != SubjectKind::Direct) {
        if let Some(medians) = row.values.get(&Figure::P50Micros) {
            let added = medians.iter().map(|median| median - direct.median).collect();
            row.values.insert(Figure::AddedMicros, added);
        }
    }
}
