//! One figure of one workload as bars: a table, each row of which has a name, a bar and a number.
//!
//! Bars begin at zero, so that their lengths can be compared as lengths. A line over the end of a
//! bar goes from the least to the most of the rounds. Everything is placed in percent of the cell,
//! so that bars shrink with the screen and letters do not.
//!
//! One subject that is many times all others, as a program started for each link is, would leave
//! nothing of their bars. Bars are then as long as the others need, and its own is cut, with a gap
//! in it and a word beside it.

use std::fmt::Write as _;

use super::super::digest::{Case, Section};
use super::markup::Text;
use super::BEST;
use crate::load::report::{Better, Figure};

/// How much of its cell the longest bar fills: the line over its end must not leave the cell.
const FILLED: f64 = 98.0;

/// A bar is cut when it is longer than so many of the next.
const OUTLIER: f64 = 6.0;

/// The gap in a bar that is cut.
const GAP: &str = "<svg x=\"88%\" width=\"12\" overflow=\"visible\">\
    <path class=\"gap\" d=\"M0 14 5 2h5L5 14z\"/></svg>";

/// Writes the bars of `figure`.
pub(super) fn write(page: &mut String, case: &Case<'_>, figure: Figure) {
    let Some(column) = figure.column() else { return };
    let spreads = case.rows.iter().filter_map(|row| row.spread(figure));
    let full = scale(spreads.map(|spread| spread.most).collect());
    let length = |value: f64| (value / full * FILLED).clamp(0.0, 100.0);
    let better = match column.better {
        Better::More => ", more is better",
        Better::Less => ", less is better",
        Better::Neither => "",
    };
    let _ = writeln!(
        page,
        "<table class=\"bars\">\n<caption>{}<span class=\"under\">{}{better}</span></caption>\n<tbody>",
        title(case.section, figure),
        column.heading
    );
    let best = case.best(figure);
    for row in &case.rows {
        let (Some(told), Some(spread)) = (row.told(figure), row.spread(figure)) else { continue };
        let is_best = best == Some(row.subject);
        let class = if row.kind.is_yardstick() {
            "yardstick"
        } else if is_best {
            "first"
        } else {
            "other"
        };
        let mut svg = format!(
            "<svg class=\"bar {class}\" aria-hidden=\"true\"><rect y=\"3\" height=\"10\" width=\"{:.2}%\"/>",
            length(spread.median)
        );
        let is_cut = spread.median > full;
        if is_cut {
            svg.push_str(GAP);
        } else if told.range.is_some() {
            let (x1, x2) = (length(spread.least), length(spread.most));
            let _ = write!(svg, "<line x1=\"{x1:.2}%\" x2=\"{x2:.2}%\" y1=\"8\" y2=\"8\"/>");
        }
        svg.push_str("</svg>");
        let _ = write!(
            page,
            "<tr class=\"{class}\"><th scope=\"row\">{}{}</th><td>{svg}</td><td class=\"num\">{}<b>{}</b>",
            Text(row.subject),
            if row.calm { "" } else { " ~" },
            if is_best { BEST } else { "" },
            told.median
        );
        if told.wide {
            page.push_str(" <span class=\"fail\" title=\"the rounds lie far apart\">!</span>");
        }
        if is_cut {
            page.push_str("<span class=\"under\">bar cut</span>");
        }
        if let Some(range) = &told.range {
            let _ = write!(page, "<span class=\"under\">{range}</span>");
        }
        page.push_str("</td></tr>\n");
    }
    page.push_str("</tbody>\n</table>\n");
}

/// What a whole bar stands for, where the longest bars would be so long.
fn scale(mut lengths: Vec<f64>) -> f64 {
    lengths.sort_unstable_by(|a, b| b.total_cmp(a));
    let full = match lengths[..] {
        [first, second, ..] if second > 0.0 && first > OUTLIER * second => second,
        [first, ..] => first,
        [] => 0.0,
    };
    // Where nothing is measured but zeros any scale will do.
    if full > 0.0 {
        full
    } else {
        1.0
    }
}

/// What `figure` is called over its bars.
fn title(section: Section, figure: Figure) -> String {
    let each = section.operation();
    match figure {
        Figure::PerSecond => format!("{}s per second", capital(each)),
        Figure::CpuMicrosPerOperation => format!("CPU per {each}"),
        Figure::AddedMicros => "Round trip added to that of direct".to_owned(),
        Figure::P50Micros => format!("Median time of a {each}"),
        Figure::GbitPerSecond => "Throughput".to_owned(),
        Figure::CpuSecondsPerGb => "CPU per GB".to_owned(),
        Figure::BytesPerLink => "Memory of an idle link".to_owned(),
        Figure::IdleMicrosPerLink => "CPU of an idle link".to_owned(),
        Figure::ProcessesPerLink => "Processes of a link".to_owned(),
        Figure::DescriptorsPerLink => "Descriptors of a link".to_owned(),
        Figure::ResidentBytes => "Resident memory".to_owned(),
        Figure::OwnBytes => "Memory of its own".to_owned(),
        other => other.column().map_or("", |c| c.heading).to_owned(),
    }
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |c| c.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_is_many_times_the_others_does_not_make_them_vanish() {
        let close = |a: f64, b: f64| (a - b).abs() < 1e-9;
        assert!(close(scale(vec![55.0, 2400.0, 90.0]), 90.0));
        assert!(close(scale(vec![30.0, 61.0, 1.0]), 61.0));
        assert!(close(scale(vec![0.0, 4.0]), 4.0));
        assert!(close(scale(vec![0.0]), 1.0) && close(scale(Vec::new()), 1.0));
    }
}
