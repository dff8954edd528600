//! A comparison as tables in Markdown, for documents: RESULTS.md is made of two, and README has a
//! [`summary`] of one. Its warnings stand before them.
//!
//! Subjects are columns and workloads are rows, since a document has room for the one figure of
//! each workload that tells most. A cell is the median of the rounds. The best candidate of a row
//! is bold if it is ahead by more than noise, the last columns are the quotients of
//! `digest::Ratio`. A stand-in has a table with its original instead of a column, and
//! behaviours are counted group by group.

use std::fmt::Write as _;

use super::digest::{self, in_order, By, Case, Section, NEVER_CALM};
use crate::load::report::Figure;
use crate::model::{Comparison, Passed};
use crate::subject::{DIRECT, FLOOR};

/// `comparison` in Markdown: a paragraph that says where it was made, then the tables.
pub fn render(comparison: &Comparison) -> String {
    let cases = digest::cases(comparison);
    let mut text = origin(comparison);
    write_warnings(&mut text, comparison);
    let subjects: Vec<&str> = digest::in_order_of_rows(&comparison.subjects)
        .into_iter()
        .map(|(name, _)| name)
        .filter(|name| !digest::is_stand_in(name))
        .collect();
    let all = [By::BestRival, By::Row(FLOOR), By::Row(DIRECT)];
    write_figures(&mut text, "costs", &rows(&cases, costs), &subjects, &all[..2]);
    write_figures(&mut text, "speed", &rows(&cases, speed), &subjects, &all);
    write_stand_ins(&mut text, &cases);
    write_behaviours(&mut text, comparison);
    text
}

/// The rows of a [`summary`]: a workload, a figure of it, and both in words.
const SUMMARY: [(&str, Figure, &str); 6] = [
    ("open alone", Figure::P50Micros, "open a connection, median us"),
    (
        "connect-request-close 1 at a time",
        Figure::CpuMicrosPerOperation,
        "a short connection, CPU us",
    ),
    ("ping-pong 1 x 64 B", Figure::CpuMicrosPerOperation, "a message and its answer, CPU us"),
    ("ping-pong 64 x 1 KiB", Figure::PerSecond, "messages and answers on 64 connections, per s"),
    ("bulk 1 stream down", Figure::CpuSecondsPerGb, "a GB on one connection, CPU s"),
    ("idle links", Figure::BytesPerLink, "an idle connection, bytes of memory"),
];

/// Comparisons of a [`summary`], and their words.
const SUMMED_UP: [(&str, &str); 2] =
    [("setns", "nsplice"), ("external", "nsenter and socat, run for each")];

/// The six figures of `comparison` that tell an operator most: nsplice beside the programs that it
/// stands in for. The warnings are left to [`render`], and so is what was not measured.
pub fn summary(comparison: &Comparison) -> String {
    let cases = digest::cases(comparison);
    let mut text = origin(comparison);
    write_head(&mut text, "", SUMMED_UP.map(|(_, words)| words));
    for (workload, figure, words) in SUMMARY {
        let Some(case) = cases.iter().find(|case| case.workload == workload) else { continue };
        let cells = SUMMED_UP.map(|(subject, _)| {
            case.row(subject)
                .and_then(|row| row.told(figure))
                .map_or_else(String::new, |it| it.median)
        });
        write_row(&mut text, words, cells);
    }
    text
}

/// The figure that tells most of what a workload costs.
fn costs(case: &Case<'_>) -> &'static [Figure] {
    match case.section {
        Section::Bulk => &[Figure::CpuSecondsPerGb],
        Section::Idle => &[Figure::BytesPerLink],
        Section::Opening | Section::Requests => &[Figure::CpuMicrosPerOperation],
        Section::Start | Section::Other => &[],
    }
}

/// The figure that tells most of how fast it is. With many links the time of one is mostly waiting in line,
/// and short for some at the expense of others.
fn speed(case: &Case<'_>) -> &'static [Figure] {
    match case.section {
        Section::Bulk => &[Figure::GbitPerSecond],
        Section::Requests if !case.is_one_link() => &[Figure::PerSecond],
        Section::Opening | Section::Requests => &[Figure::P50Micros],
        Section::Idle | Section::Start | Section::Other => &[],
    }
}

/// The figures that a stand-in is compared in.
fn standing_in(case: &Case<'_>) -> &'static [Figure] {
    match case.section {
        Section::Start => &[
            Figure::P50Micros,
            Figure::CpuMicrosPerOperation,
            Figure::ResidentBytes,
            Figure::OwnBytes,
        ],
        _ => costs(case),
    }
}

/// A figure of a workload.
type Line<'a, 'c> = (&'c Case<'a>, Figure);

/// The figures of each of `cases` that `pick` names, if they were measured.
fn rows<'a, 'c>(
    cases: &'c [Case<'a>],
    pick: impl Fn(&Case<'_>) -> &'static [Figure],
) -> Vec<Line<'a, 'c>> {
    let figures = cases.iter().flat_map(|case| pick(case).iter().map(move |&f| (case, f)));
    figures.filter(|(case, figure)| case.figures.contains(figure)).collect()
}

/// The machine it was made on, and how often each was measured.
fn origin(comparison: &Comparison) -> String {
    let rounds = comparison.measurements.iter().map(|m| m.round).max().unwrap_or(0);
    let mut parts = vec![comparison.started.chars().take(10).collect::<String>()];
    parts.extend(super::facts(comparison).into_iter().filter_map(|(name, value)| {
        matches!(name, "machine" | "placement" | "tools").then_some(value)
    }));
    if rounds > 0 {
        parts.push(format!("medians of {rounds} rounds"));
    }
    parts.retain(|part| !part.is_empty());
    format!("Taken {}.\n", parts.join("; "))
}

/// Writes what makes the figures doubtful: they are not to be read without.
fn write_warnings(text: &mut String, comparison: &Comparison) {
    if comparison.warnings.is_empty() {
        return;
    }
    text.push_str("\nWarnings of these runs:\n\n");
    for warning in &comparison.warnings {
        let _ = writeln!(text, "- {}", escape(warning));
    }
}

/// Writes a table of `rows`, with a column for each of `subjects` that was measured and for each of
/// `quotients`.
fn write_figures(
    text: &mut String,
    title: &str,
    rows: &[Line<'_, '_>],
    subjects: &[&str],
    quotients: &[By<'_>],
) {
    let is_told = |name: &&&str| rows.iter().any(|line| !cell(line, name).is_empty());
    let subjects: Vec<&str> = subjects.iter().filter(is_told).copied().collect();
    if subjects.is_empty() {
        return;
    }
    let ratio = |(case, figure): &Line<'_, '_>, by: By<'_>| {
        let found = case.ratios().into_iter().find(|ratio| ratio.by == by)?;
        Some((found.label, found.quotients.get(figure)?.0))
    };
    let columns: Vec<(By<'_>, String)> = quotients
        .iter()
        .filter_map(|&by| Some((by, rows.iter().find_map(|line| ratio(line, by))?.0)))
        .collect();
    let labels = columns.iter().map(|(_, label)| label.as_str());
    write_head(text, title, subjects.iter().copied().chain(labels));
    for line in rows {
        let cells = subjects.iter().map(|name| cell(line, name));
        let shares = columns.iter().map(|(by, _)| {
            ratio(line, *by).map_or_else(String::new, |(_, share)| format!("{share:.2}"))
        });
        write_row(text, &label(line), cells.chain(shares));
    }
}

fn label((case, figure): &Line<'_, '_>) -> String {
    let unit = figure.column().map_or("", |column| column.heading);
    format!("{}, {unit}", case.workload)
}

fn cell((case, figure): &Line<'_, '_>, subject: &str) -> String {
    let Some(row) = case.row(subject) else { return String::new() };
    let Some(told) = row.told(*figure) else { return String::new() };
    let is_best = case.best(*figure) == Some(subject);
    let mut cell = if is_best { format!("**{}**", told.median) } else { told.median };
    if !row.calm {
        let _ = write!(cell, " {NEVER_CALM}");
    }
    cell
}

/// Writes a table for each stand-in beside its original.
fn write_stand_ins(text: &mut String, cases: &[Case<'_>]) {
    let names = cases.iter().flat_map(|case| &case.rows).map(|row| row.subject);
    for name in in_order(names.filter(|name| digest::is_stand_in(name))) {
        let compared: Vec<_> = rows(cases, standing_in)
            .into_iter()
            .filter_map(|line| {
                let ratio = line.0.ratios().into_iter().find(|ratio| ratio.of == name)?;
                let share = ratio.quotients.get(&line.1)?.0;
                let By::Row(original) = ratio.by else { return None };
                Some((line, original, ratio.label, share))
            })
            .collect();
        let Some((_, original, label_of_ratio, _)) = compared.first() else { continue };
        write_head(text, "by that name", [name, original, label_of_ratio.as_str()]);
        for (line, original, _, share) in &compared {
            let cells = [cell(line, name), cell(line, original), format!("{share:.2}")];
            write_row(text, &label(line), cells);
        }
    }
}

/// Writes how many behaviours of each group are as expected, of those that were tried.
fn write_behaviours(text: &mut String, comparison: &Comparison) {
    let subjects = comparison.behaving();
    if subjects.is_empty() {
        return;
    }
    write_head(text, "behaves as expected", subjects.iter().copied());
    for group in in_order(comparison.behaviours.iter().map(|b| b.group.as_str())) {
        let cells = subjects.iter().map(|subject| {
            let members = comparison.behaviours.iter().filter(|b| b.group == group);
            let results: Vec<Passed> =
                members.filter_map(|b| b.verdict(subject)).map(|v| v.result).collect();
            score(&results)
        });
        write_row(text, group, cells);
    }
}

fn score(results: &[Passed]) -> String {
    let count = |wanted| results.iter().filter(|result| **result == wanted).count();
    let (passed, tried) = (count(Passed::Yes), count(Passed::Yes) + count(Passed::No));
    match tried {
        0 => String::new(),
        _ if passed == tried => format!("**{passed} / {tried}**"),
        _ => format!("{passed} / {tried}"),
    }
}

fn write_head<'a>(text: &mut String, title: &str, headings: impl IntoIterator<Item = &'a str>) {
    let headings: Vec<String> = headings.into_iter().map(escape).collect();
    text.push('\n');
    write_row(text, title, headings.iter().cloned());
    let _ = writeln!(text, "|---|{}", "---:|".repeat(headings.len()));
}

/// Writes a row; `name` is escaped, `cells` are Markdown already.
fn write_row(text: &mut String, name: &str, cells: impl IntoIterator<Item = String>) {
    let cells: Vec<String> = cells.into_iter().collect();
    let _ = writeln!(text, "| {} | {} |", escape(name), cells.join(" | "));
}

/// Text from outside, written so that it neither ends a cell nor means anything.
fn escape(words: &str) -> String {
    let plain = words.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut escaped = String::new();
    for c in plain {
        if matches!(c, '|' | '*' | '_' | '`' | '<' | '[' | '\\') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::report::Measurement;
    use crate::report::lines;
    use crate::report::sample::measurement;

    fn bulk(subject: &str, cpu: f64) -> Measurement {
        let figures = format!(r#""cpu_seconds_per_gb":{cpu}"#);
        measurement(subject, "bulk 1 stream up", 1, &figures)
    }

    #[test]
    fn the_best_is_bold_and_stand_ins_are_apart() {
        let measured =
            [bulk("nsplice", 0.1), bulk("so|cat", 0.2), bulk("nsplice-so|cat", 0.05)].to_vec();
        let text = render(&lines::comparison(measured));
        let costs = "| costs | nsplice | so\\|cat | nsplice / best peer |\n|---|---:|---:|---:|\n\
                     | bulk 1 stream up, CPU s/GB | **0.100** | 0.200 | 0.50 |\n";
        assert!(text.contains(costs), "{text}");
        let apart = "| bulk 1 stream up, CPU s/GB | 0.050 | 0.200 | 0.25 |\n";
        assert!(text.ends_with(apart), "{text}");
    }

    #[test]
    fn the_best_within_the_noise_is_none() {
        let rounds = |subject: &str, cpu: [f64; 2]| cpu.map(|cpu| bulk(subject, cpu));
        // By less than a tenth; by more, but rounds reach into each other; and truly ahead.
        for (other, is_best) in [([0.105, 0.109], false), ([0.101, 0.3], false), ([0.2, 0.3], true)]
        {
            let measured = [rounds("nsplice", [0.099, 0.101]), rounds("haproxy", other)].concat();
            let text = render(&lines::comparison(measured));
            assert_eq!(text.contains("**0.100**"), is_best, "{other:?}: {text}");
        }
    }

    #[test]
    fn warnings_go_with_the_figures() {
        let mut comparison = lines::comparison(vec![bulk("nsplice", 0.1)]);
        comparison.warnings = vec!["The load average was 8.0.".to_owned()];
        assert!(render(&comparison).contains("- The load average was 8.0.\n"));
    }

    #[test]
    fn nothing_that_was_not_measured_has_a_table() {
        let text = render(&lines::comparison(Vec::new()));
        assert!(!text.contains('|'), "{text}");
    }

    #[test]
    fn behaviours_are_counted_where_they_were_tried() {
        use Passed::{No, NotTried, Yes};
        assert_eq!(score(&[Yes, No, NotTried]), "1 / 2");
        assert_eq!(score(&[Yes, Yes]), "**2 / 2**");
        assert_eq!(score(&[NotTried]), "");
    }
}
