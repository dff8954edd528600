//! Changes between two comparisons.
//!
//! Whatever both have is compared: each figure of each subject under each workload by its rounds,
//! each behaviour by its verdict. Which rounds count is decided as everywhere, see `digest`;
//! whether two sets of rounds differ is decided by the rank test of `stats`. Nothing is said of
//! subjects and workloads that only one of the two has, and nothing of figures that explain others,
//! such as how busy the load was.
//!
//! A difference has as many reasons as there are differences between the two runs. Where machine,
//! kernel, tools or placement are not the same, that is said first, because then the test answers a
//! question that nobody asked.

use super::digest::{self, Row};
use super::stats::{self, Spread};
use crate::load::report::{Better, Figure};
use crate::model::{
    Behaviour, BehaviourChange, Change, Comparison, FigureChange, Finding, Machine, Passed,
};

/// Returns what `new` has otherwise than `old`.
pub fn between(old: &Comparison, new: &Comparison) -> Change {
    let before = digest::cases(old);
    let mut figures = Vec::new();
    for case in digest::cases(new) {
        let Some(was) = before.iter().find(|c| c.workload == case.workload) else { continue };
        for row in &case.rows {
            let Some(was) = was.row(row.subject) else { continue };
            let changes = case.figures.iter().filter_map(|&f| figure(case.workload, f, was, row));
            figures.extend(changes);
        }
    }
    Change {
        since: old.started.clone(),
        version: old.version.clone(),
        doubts: doubts(&old.machine, &new.machine),
        behaviours: new.behaviours.iter().flat_map(|b| behaviour(&old.behaviours, b)).collect(),
        figures,
    }
}

/// The heading over a change, with `shown` applied to what the file says.
pub(super) fn title(change: &Change, shown: impl Fn(&str) -> String) -> String {
    format!("Changed since {} (nsplice {})", shown(&change.since), shown(&change.version))
}

/// Returns whether `change` is worth a line: it was found, or is all that so few rounds can be
/// apart.
pub(super) fn is_listed(change: &FigureChange) -> bool {
    let (old, new) = (change.old_rounds, change.new_rounds);
    match change.finding {
        Finding::Better | Finding::Worse => true,
        Finding::Same => false,
        // Of single rounds, which always differ, nothing follows.
        Finding::TooFew => old.min(new) > 1 && change.p <= stats::least_p(old, new) + f64::EPSILON,
    }
}

/// A finding, as a remark on a difference.
pub(super) fn word(finding: Finding) -> &'static str {
    match finding {
        Finding::Better => "better",
        Finding::Worse => "worse",
        Finding::Same => "no change found",
        Finding::TooFew => "too few rounds",
    }
}

/// The difference in percent, with its sign.
pub(super) fn percent(change: &FigureChange) -> String {
    change.percent.map_or_else(|| "-".to_owned(), |percent| format!("{percent:+.1}%"))
}

/// Sentences about what the test found in all, and what that is worth.
pub(super) fn summary(change: &Change) -> Vec<String> {
    let count = |finding| change.figures.iter().filter(|f| f.finding == finding).count();
    let (better, worse) = (count(Finding::Better), count(Finding::Worse));
    let (same, few) = (count(Finding::Same), count(Finding::TooFew));
    let tested = better + worse + same;
    let mut sentences = Vec::new();
    if change.figures.is_empty() {
        sentences.push("The two comparisons have no figure in common.".to_owned());
    }
    if tested > 0 {
        sentences.push(format!(
            "Of {tested} figures {better} are better and {worse} worse at p <= {} (two-sided rank test of Mann and \
             Whitney, exact); by chance alone about {:.0} would be.",
            stats::LEVEL,
            tested as f64 * stats::LEVEL
        ));
    }
    if let Some(least) = change.figures.iter().find(|f| f.finding == Finding::TooFew) {
        sentences.push(format!(
            "{few} figures have too few rounds to tell: {} against {} cannot show a change however large it is (p is \
             never under {:.2}); {needed} against {needed} can. Listed are those whose rounds do not overlap.",
            least.old_rounds,
            least.new_rounds,
            stats::least_p(least.old_rounds, least.new_rounds),
            needed = stats::rounds_needed(),
        ));
    }
    sentences
}

fn figure(workload: &str, figure: Figure, was: &Row<'_>, is: &Row<'_>) -> Option<FigureChange> {
    let better = figure.column()?.better;
    let (before, after) = (was.values.get(&figure)?, is.values.get(&figure)?);
    let (old, new) = (Spread::of(before)?, Spread::of(after)?);
    let p = stats::rank_test(before, after)?;
    let for_the_better = match better {
        Better::More => new.median > old.median,
        Better::Less => new.median < old.median,
        Better::Neither => return None,
    };
    let finding = if !stats::can_show(old.rounds, new.rounds) {
        Finding::TooFew
    } else if p > stats::LEVEL {
        Finding::Same
    } else if for_the_better {
        Finding::Better
    } else {
        Finding::Worse
    };
    let percent = (new.median - old.median) / old.median.abs() * 100.0;
    Some(FigureChange {
        workload: workload.to_owned(),
        subject: is.subject.to_owned(),
        figure,
        old: old.median,
        new: new.median,
        percent: percent.is_finite().then_some(percent),
        old_rounds: old.rounds,
        new_rounds: new.rounds,
        p,
        finding,
    })
}

fn behaviour<'a>(
    before: &'a [Behaviour],
    now: &'a Behaviour,
) -> impl Iterator<Item = BehaviourChange> + 'a {
    let was = before.iter().find(|b| b.name == now.name);
    now.verdicts.iter().filter_map(move |verdict| {
        let old = was?.verdict(&verdict.subject)?.result;
        let tried = old != Passed::NotTried && verdict.result != Passed::NotTried;
        (tried && old != verdict.result).then(|| BehaviourChange {
            name: now.name.clone(),
            subject: verdict.subject.clone(),
            old,
            new: verdict.result,
            seen: verdict.seen.clone(),
        })
    })
}

/// Sentences about what else is different.
fn doubts(old: &Machine, new: &Machine) -> Vec<String> {
    let mut doubts = Vec::new();
    let mut compare = |what: &str, old: &str, new: &str| {
        if old != new {
            doubts.push(format!(
                "{what} is not the same ({} before, {} now), which may be all the difference there is",
                or_unknown(old),
                or_unknown(new)
            ));
        }
    };
    compare("the processor", &old.processor, &new.processor);
    compare("the number of CPUs", &old.cpus.to_string(), &new.cpus.to_string());
    compare("the kernel", &old.kernel, &new.kernel);
    compare("TCP's congestion control", &old.congestion_control, &new.congestion_control);
    compare("how CPU and memory were counted", &old.meter, &new.meter);
    compare("the placement", &old.placement, &new.placement);
    for (name, version) in &new.tools {
        // A tool that took part in one of the two only is no reason for a difference in the other.
        if let Some(before) = old.tools.get(name) {
            let shown = |version: &Option<String>| version.clone().unwrap_or_default();
            compare(&format!("the version of {name}"), &shown(before), &shown(version));
        }
    }
    doubts
}

fn or_unknown(value: &str) -> &str {
    if value.is_empty() {
        "unknown"
    } else {
        value
    }
}
