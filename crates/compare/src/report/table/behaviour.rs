//! The behaviours of subjects: a row for each behaviour, a column for each subject, and below it
//! what was seen where one failed.

use super::super::digest::in_order;
use super::grid::{plain, wrap, Cell, Grid, Sheet};
use super::heading::write_heading;
use crate::model::{Behaviour, Comparison, Passed};

/// The word for a verdict.
pub(super) fn word(result: Passed) -> &'static str {
    match result {
        Passed::Yes => "ok",
        Passed::No => "FAIL",
        Passed::NotTried => "-",
    }
}

/// Writes the matrix, if behaviours were asked for.
pub(super) fn write(text: &mut Sheet, comparison: &Comparison) {
    let behaviours = &comparison.behaviours;
    if behaviours.is_empty() {
        return;
    }
    write_heading(text, "Behaviour");
    let subjects = comparison.behaving();
    let mut grid = Grid::new(subjects.iter().map(|&name| name.to_owned()));
    for group in in_order(behaviours.iter().map(|b| b.group.as_str())) {
        for behaviour in behaviours.iter().filter(|b| b.group == group) {
            let cells = subjects.iter().map(|subject| {
                Cell::new(behaviour.verdict(subject).map_or("", |v| word(v.result)), "")
            });
            grid.row(&behaviour.name, cells);
        }
    }
    grid.row(
        "as expected",
        subjects.iter().map(|subject| {
            let (passed, tried) = comparison.score(subject);
            Cell::new(format!("{passed}/{tried}"), "")
        }),
    );
    grid.write(text);
    for behaviour in behaviours {
        write_failures(text, behaviour);
    }
}

fn write_failures(text: &mut Sheet, behaviour: &Behaviour) {
    let mut failures = behaviour.failures().peekable();
    if failures.peek().is_none() {
        return;
    }
    text.push('\n');
    wrap(
        text,
        &format!("{}: ", plain(&behaviour.name)),
        &format!("expected: {}", behaviour.expected),
    );
    for verdict in failures {
        let known = verdict.known.as_ref().map(|why| format!(" (known: {why})"));
        let seen = format!("{}{}", verdict.seen, known.unwrap_or_default());
        wrap(text, &format!("  FAIL {}: ", plain(&verdict.subject)), &seen);
    }
}
