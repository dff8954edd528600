//! A comparison as text for a terminal.
//!
//! From top to bottom: what was measured where, the subjects, how they behave, what they cost
//! section by section and at a glance, what has changed if there was something to compare with, and
//! the warnings, which stand last so that they are still on the screen. It is plain ASCII apart
//! from what comes from outside, and fits the terminal, or 100 columns, where names let it.
//!
//! A cell is the median of the rounds and, in brackets, the least and the most. A `!` marks a cell
//! whose rounds lie so far apart that its median says little; a `~` marks a subject all of whose
//! rounds others disturbed. Under the rows stand the quotients of `digest::Ratio`. Figures that
//! only explain others, such as how busy the load was, are in the JSON.

mod behaviour;
mod changed;
mod grid;
mod heading;

use std::fmt::Write as _;

use grid::{plain, wrap, Cell, Grid, Sheet};
use heading::write_heading;

use super::digest::{self, Case, Row, DISTURBED, NEVER_CALM};
use super::stats::WIDE;
use crate::load::report::Figure;
use crate::model::{Comparison, SubjectFacts};

/// The mark of a cell that is spread widely.
const MARK: char = '!';

/// Columns that a report takes where it is not known how many there are.
const WIDTH: usize = 100;

/// `comparison`, as it is printed.
pub fn render(comparison: &Comparison) -> String {
    render_within(comparison, None)
}

/// `comparison`, as it is printed on a terminal of `width` columns, if it is one.
pub fn render_within(comparison: &Comparison, width: Option<usize>) -> String {
    let mut text = Sheet::new(width.unwrap_or(WIDTH));
    write_head(&mut text, comparison);
    behaviour::write(&mut text, comparison);
    let cases = digest::cases(comparison);
    write_costs(&mut text, &cases);
    write_glance(&mut text, comparison, &cases);
    if let Some(change) = &comparison.change {
        changed::write(&mut text, change);
    }
    if !comparison.warnings.is_empty() {
        write_heading(&mut text, "Warnings");
        for warning in &comparison.warnings {
            wrap(&mut text, "  - ", warning);
        }
    }
    text.text
}

fn write_head(text: &mut Sheet, comparison: &Comparison) {
    if comparison.version.is_empty() {
        return;
    }
    let _ = writeln!(
        text,
        "nsplice {} compared {} ways into a namespace, {}, in {:.0} s",
        plain(&comparison.version),
        comparison.subjects.iter().filter(|s| s.missing.is_none()).count(),
        plain(&comparison.started),
        comparison.seconds
    );
    for (name, value) in super::facts(comparison) {
        wrap(text, &format!("  {name:<10} "), &value);
    }
    write_heading(text, "Subjects");
    let names =
        comparison.subjects.iter().map(|s| plain(&s.name).chars().count()).max().unwrap_or(0);
    for SubjectFacts { name, command, missing, .. } in &comparison.subjects {
        let first = format!("  {:<names$}  ", plain(name));
        match missing {
            Some(why) => wrap(text, &first, &format!("not measured: {why}")),
            None => wrap(text, &first, command),
        }
    }
}

fn write_costs(text: &mut Sheet, cases: &[Case<'_>]) {
    let mut section = None;
    let mut wide = 0;
    for case in cases {
        if section.replace(case.section) == Some(case.section) {
            text.push('\n');
        } else {
            write_heading(text, case.section.title());
        }
        wide += write_case(text, case);
    }
    if cases.is_empty() {
        return;
    }
    let legend = format!(
        "Each cell: median (least - most) of the rounds, without those in which others used more than {:.0}% of a CPU; \
         {NEVER_CALM} = there were only such.",
        DISTURBED * 100.0
    );
    text.push('\n');
    wrap(text, "", &legend);
    if wide > 0 {
        let warning = format!(
            "Cells marked {MARK}: {wide}. Their rounds lie more than {:.0}% of the median apart, so measure again on a \
             quieter machine or with more rounds before believing them.",
            WIDE * 100.0
        );
        wrap(text, "", &warning);
    }
}

/// Writes one workload and returns how many cells were marked.
fn write_case(text: &mut Sheet, case: &Case<'_>) -> usize {
    let _ = writeln!(text, "{}   [{}]", plain(case.workload), plain(&case.meters.join(", ")));
    let headings = case.figures.iter().filter_map(|f| f.column()).map(|c| c.heading.to_owned());
    let mut grid = Grid::new(headings);
    let mut wide = 0;
    for row in &case.rows {
        let name =
            if row.calm { row.subject.to_owned() } else { format!("{} {NEVER_CALM}", row.subject) };
        let cells: Vec<Cell> = case.figures.iter().map(|&f| cell(row, f, &mut wide)).collect();
        grid.row(&name, cells);
    }
    for ratio in case.ratios() {
        let cells = case.figures.iter().map(|figure| match ratio.quotients.get(figure) {
            Some((quotient, Some(name))) => {
                Cell::new(format!("{quotient:.2}"), format!("({})", plain(name)))
            }
            Some((quotient, None)) => Cell::new(format!("{quotient:.2}"), ""),
            None => Cell::default(),
        });
        grid.row(&ratio.label, cells);
    }
    grid.write(text);
    wide
}

fn cell(row: &Row<'_>, figure: Figure, wide: &mut usize) -> Cell {
    let Some(told) = row.told(figure) else { return Cell::new("-", "") };
    let mut remark = told.range.map(|range| format!("({range})")).unwrap_or_default();
    if told.wide {
        *wide += 1;
        let _ = write!(remark, " {MARK}");
    }
    Cell::new(told.median, remark)
}

/// Writes the headlines, a row for each subject.
fn write_glance(text: &mut Sheet, comparison: &Comparison, cases: &[Case<'_>]) {
    let headlines = digest::headlines(cases);
    if comparison.version.is_empty() || headlines.is_empty() {
        return;
    }
    write_heading(text, "At a glance");
    let mut grid = Grid::new(headlines.iter().map(|h| h.label.to_owned()));
    for subject in digest::in_order(cases.iter().flat_map(|c| &c.rows).map(|row| row.subject)) {
        let told = headlines.iter().map(|h| h.case.row(subject).and_then(|row| row.told(h.figure)));
        grid.row(
            subject,
            told.map(|t| Cell::new(t.map_or_else(|| "-".to_owned(), |t| t.median), "")),
        );
    }
    grid.write(text);
    for workload in digest::in_order(headlines.iter().map(|h| h.case.workload)) {
        let labels: Vec<&str> =
            headlines.iter().filter(|h| h.case.workload == workload).map(|h| h.label).collect();
        let _ = writeln!(text, "  {}: {}", labels.join(", "), plain(workload));
    }
}

#[cfg(test)]
mod tests;
