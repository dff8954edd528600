//! Measurements side by side: for each case a table, with a row for each peer and a column for each figure.
//!
//! A cell is the median of the rounds and, in brackets, the least and the most. A `!` marks a cell whose rounds lie so
//! far apart that its median says little. Rounds in which other work on the machine took much CPU are left out wherever
//! a peer has calmer ones, by the same rule for all: caches and a CPU taken away cost the relay too. A `~` marks a peer
//! that had none.
//!
//! Under the rows stands how the subject (the peer called `nsplice`) compares with the best of the others, for each
//! figure by itself. "direct" has no relay in it and is never the best peer; nor is a variant of the subject, such as
//! `nsplice-copy`. Under that stands how `nsplice-socat` compares with the socat whose command line it runs.

use super::failure::Failure;
use super::report::{Better, Figure, Measurement};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// The peer whose comparison with the others is the point of it all.
const SUBJECT: &str = "nsplice";

/// One that stands in for another, and that other.
const STAND_IN: (&str, &str) = ("nsplice-socat", "socat");

/// The yardstick without a relay.
const YARDSTICK: &str = "direct";

/// A spread from least to most beyond this share of the median is marked.
const WIDE: f64 = 0.5;

/// A round is disturbed when others used more than this share of one CPU.
const DISTURBED: f64 = 0.2;

/// The mark of a peer all of whose rounds were.
const NEVER_CALM: char = '~';

/// The mark of a cell that is spread so. No heading, peer or case has it.
const MARK: char = '!';

/// Reads JSON lines from `path` and lays them out.
///
/// # Errors
///
/// When the file cannot be read, or a line in it is not a measurement.
pub fn from_file(path: &Path) -> Result<String, Failure> {
    let text = fs::read_to_string(path)
        .map_err(|e| Failure::system(format!("read {}", path.display()), e))?;
    let mut all = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
        all.push(serde_json::from_str(line).map_err(|e| {
            Failure::Usage(format!(
                "{} line {} is not a measurement: {e}",
                path.display(),
                number + 1
            ))
        })?);
    }
    Ok(lay_out(&all))
}

/// Lays measurements out, in the order in which cases and peers first appear.
#[must_use]
pub fn lay_out(all: &[Measurement]) -> String {
    let mut text = String::new();
    for case in in_order(all.iter().map(|m| m.workload.as_str())) {
        let members: Vec<&Measurement> = all.iter().filter(|m| m.workload == case).collect();
        lay_out_case(&mut text, case, &members);
    }
    if !text.is_empty() {
        let _ = write!(
            text,
            "Each cell: median (least - most) of the rounds, without those in which others used more than {:.0}% of a \
             CPU; {NEVER_CALM} = there were only such.",
            DISTURBED * 100.0
        );
        let wide = text.matches(MARK).count();
        if wide > 0 {
            let _ = write!(
                text,
                "\nWarning: cells marked {MARK}: {wide}. Their rounds lie more than {:.0}% of the median apart, \
                 so measure again on a quieter machine or with more rounds before believing them.",
                WIDE * 100.0
            );
        }
        text.push('\n');
    }
    text
}

fn lay_out_case(text: &mut String, case: &str, members: &[&Measurement]) {
    let peers = in_order(members.iter().map(|m| m.subject.as_str()));
    let figures: BTreeSet<Figure> = members
        .iter()
        .flat_map(|m| m.figures.keys().copied())
        .filter(|f| f.column().is_some())
        .collect();
    let members: Vec<&Measurement> =
        members.iter().copied().filter(|m| counts(m, members)).collect();
    let members = members.as_slice();
    let meters =
        in_order(members.iter().filter(|m| m.subject != YARDSTICK).map(|m| m.meter.as_str()));
    let _ = writeln!(text, "{case}   [{}]", meters.join(", "));

    let mut grid = vec![std::iter::once(String::new())
        .chain(figures.iter().filter_map(|f| f.column()).map(|c| c.heading.to_owned()))
        .collect::<Vec<_>>()];
    for &peer in &peers {
        let calm = members.iter().any(|m| m.subject == peer && is_calm(m));
        let mut row = vec![if calm { peer.to_owned() } else { format!("{peer} {NEVER_CALM}") }];
        for &figure in &figures {
            row.push(cell(figure, &values(members, peer, figure)));
        }
        grid.push(row);
    }
    if peers.contains(&SUBJECT) {
        let mut row = vec![format!("{SUBJECT} / best peer")];
        for &figure in &figures {
            row.push(ratio_to_best(members, &peers, figure).unwrap_or_default());
        }
        grid.push(row);
    }
    let (stand_in, original) = STAND_IN;
    if peers.contains(&stand_in) && peers.contains(&original) {
        let mut row = vec![format!("{stand_in} / {original}")];
        for &figure in &figures {
            row.push(ratio(members, stand_in, original, figure).unwrap_or_default());
        }
        grid.push(row);
    }
    write_grid(text, &grid);
    text.push('\n');
}

/// Is `one` calm, or is its peer never calm?
fn counts(one: &Measurement, members: &[&Measurement]) -> bool {
    is_calm(one) || !members.iter().any(|m| m.subject == one.subject && is_calm(m))
}

fn is_calm(one: &Measurement) -> bool {
    one.figures.get(&Figure::OthersBusy).is_none_or(|&others| others <= DISTURBED)
}

fn values(members: &[&Measurement], peer: &str, figure: Figure) -> Vec<f64> {
    members
        .iter()
        .filter(|m| m.subject == peer)
        .filter_map(|m| m.figures.get(&figure).copied())
        .collect()
}

fn cell(figure: Figure, values: &[f64]) -> String {
    let (Some(column), Some((least, median, most))) = (figure.column(), spread(values)) else {
        return "-".to_owned();
    };
    if values.len() == 1 || column.better == Better::Neither {
        return column.format(median);
    }
    let mark = if most - least > WIDE * median.abs() { format!(" {MARK}") } else { String::new() };
    format!("{} ({} - {}){mark}", column.format(median), column.format(least), column.format(most))
}

fn median(members: &[&Measurement], peer: &str, figure: Figure) -> Option<f64> {
    spread(&values(members, peer, figure)).map(|(_, median, _)| median)
}

fn ratio(members: &[&Measurement], one: &str, other: &str, figure: Figure) -> Option<String> {
    if figure.column()?.better == Better::Neither {
        return None;
    }
    let (ours, theirs) = (median(members, one, figure)?, median(members, other, figure)?);
    Some(format!("{:.3}", ours / theirs))
}

fn ratio_to_best(members: &[&Measurement], peers: &[&str], figure: Figure) -> Option<String> {
    let better = figure.column()?.better;
    let median = |peer: &str| median(members, peer, figure);
    let ours = median(SUBJECT)?;
    let others = peers
        .iter()
        .filter(|p| **p != YARDSTICK && !p.starts_with(SUBJECT))
        .filter_map(|p| Some((*p, median(p)?)));
    let (best, theirs) = match better {
        Better::More => others.max_by(|a, b| a.1.total_cmp(&b.1)),
        Better::Less => others.min_by(|a, b| a.1.total_cmp(&b.1)),
        Better::Neither => None,
    }?;
    Some(format!("{:.2} ({best})", ours / theirs))
}

/// Least, median and most.
fn spread(values: &[f64]) -> Option<(f64, f64, f64)> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let upper = sorted.len() / 2;
    let median = if sorted.len() % 2 == 1 {
        *sorted.get(upper)?
    } else {
        (sorted.get(upper.checked_sub(1)?)? + sorted.get(upper)?) / 2.0
    };
    Some((*sorted.first()?, median, *sorted.last()?))
}

fn in_order<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = Vec::new();
    for name in names {
        if !seen.contains(&name) {
            seen.push(name);
        }
    }
    seen
}

fn write_grid(text: &mut String, grid: &[Vec<String>]) {
    let columns = grid.first().map_or(0, Vec::len);
    let widths: Vec<usize> = (0..columns)
        .map(|c| grid.iter().map(|row| row[c].chars().count()).max().unwrap_or(0))
        .collect();
    for row in grid {
        let mut line = String::from("  ");
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(line, "{cell:<width$}  ");
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::plan::SMALL_REQUEST;

    fn measurement(peer: &str, round: u32, gbit: f64, cpu: f64) -> Measurement {
        let line = format!(
            "{{\"subject\":\"{peer}\",\"workload\":\"bulk\",\"round\":{round},\"meter\":\"cgroup v2\",\"seconds\":1.0,\
             \"figures\":{{\"gbit_per_second\":{gbit},\"cpu_seconds_per_gb\":{cpu},\"bytes\":{SMALL_REQUEST}}}}}"
        );
        serde_json::from_str(&line).expect("a measurement")
    }

    fn assert_close(a: impl Into<Option<(f64, f64, f64)>>, b: (f64, f64, f64)) {
        let a = a.into().expect("values");
        assert!(
            (a.0 - b.0).abs() + (a.1 - b.1).abs() + (a.2 - b.2).abs() < 1e-9,
            "{a:?} is not {b:?}"
        );
    }

    #[test]
    fn medians_of_odd_and_even_counts() {
        assert_close(spread(&[3.0, 1.0, 2.0]), (1.0, 2.0, 3.0));
        assert_close(spread(&[4.0, 1.0, 2.0, 3.0]), (1.0, 2.5, 4.0));
        assert_close(spread(&[7.0]), (7.0, 7.0, 7.0));
        assert_eq!(spread(&[]), None);
    }

    #[test]
    fn the_best_peer_is_found_for_each_figure_by_itself() {
        let all = [
            measurement("direct", 1, 90.0, 0.01),
            measurement("nsplice", 1, 20.0, 0.4),
            measurement("nsplice-copy", 1, 99.0, 0.1),
            measurement("fast", 1, 25.0, 1.0),
            measurement("lean", 1, 10.0, 0.5),
        ];
        let text = lay_out(&all);
        let last = text.lines().find(|l| l.contains("best peer")).expect("a ratio row");
        assert!(last.contains("0.80 (fast)") && last.contains("0.80 (lean)"), "{text}");
    }

    #[test]
    fn a_stand_in_is_compared_with_its_original() {
        let all = [measurement("socat", 1, 10.0, 0.5), measurement("nsplice-socat", 1, 20.0, 0.1)];
        let text = lay_out(&all);
        let last = text.lines().find(|l| l.contains("nsplice-socat / socat")).expect("a ratio row");
        assert!(last.contains("2.000") && last.contains("0.200"), "{text}");
        assert!(!text.contains("best peer"), "{text}");
    }

    #[test]
    fn disturbed_rounds_give_way_to_calm_ones() {
        let disturb = |mut m: Measurement| {
            m.figures.insert(Figure::OthersBusy, 0.9);
            m
        };
        let all = [
            measurement("mixed", 1, 10.0, 0.5),
            disturb(measurement("mixed", 2, 2.0, 0.9)),
            disturb(measurement("unlucky", 1, 3.0, 0.7)),
        ];
        let text = lay_out(&all);
        let row = |peer| text.lines().find(|l| l.contains(peer)).expect("a row");
        assert!(row("mixed").contains("10.0 "), "{text}");
        assert!(row("unlucky ~").contains("3.0 "), "{text}");
    }

    #[test]
    fn wide_spreads_are_marked_and_missing_cells_are_dashes() {
        let mut bare = measurement("bare", 1, 1.0, 1.0);
        bare.figures.remove(&Figure::CpuSecondsPerGb);
        let all = [
            measurement("socat", 1, 5.0, 0.9),
            measurement("socat", 2, 10.0, 1.0),
            measurement("socat", 3, 11.0, 1.1),
            bare,
        ];
        let text = lay_out(&all);
        assert!(text.contains("10.0 (5.0 - 11.0) !"), "{text}");
        assert!(text.contains("marked !: 1."), "{text}");
        assert!(text.contains("1.000 (0.900 - 1.100)\n"), "{text}");
        let bare = text.lines().find(|l| l.contains("bare")).expect("a row");
        assert!(bare.ends_with('-'), "{text}");
    }
}
