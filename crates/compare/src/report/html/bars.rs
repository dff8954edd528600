//! One figure of one workload as bars: a table, each row of which has a name, a bar and a number.
//!
//! Bars begin at zero, so that their lengths can be compared as lengths. A line over the end of a
//! bar goes from the least to the most of the rounds. Everything is placed in percent of the cell,
//! so that bars shrink with the screen and letters do not.
//!
//! One subject that is many times all others, as a program started for each link is, would leave
//! nothing of their bars. Bars are then as long as the others need, and its own is cut, with a gap
//! in it and a word beside it.

use maud::{html, Markup};

use super::super::digest::{Case, Row, Section};
use super::markup::{best, Text};
use crate::load::report::{Better, Figure};

/// Share of its cell that the longest bar fills, in percent: the line over its end must not leave the cell.
const FILLED: f64 = 98.0;

/// A bar is cut when it is longer than so many of the next.
const OUTLIER: f64 = 6.0;

/// The gap in a bar that is cut.
fn gap() -> Markup {
    html! {
        svg x="88%" width="12" overflow="visible" {
            path.gap d="M0 14 5 2h5L5 14z" {}
        }
    }
}

/// The bars of `figure`.
pub(super) fn table(case: &Case<'_>, figure: Figure) -> Markup {
    let Some(column) = figure.column() else { return Markup::default() };
    let spreads = case.rows.iter().filter_map(|row| row.spread(figure));
    let full = scale(spreads.map(|spread| spread.most).collect());
    let better = match column.better {
        Better::More => ", more is better",
        Better::Less => ", less is better",
        Better::Neither => "",
    };
    html! {
        table.bars {
            caption {
                (title(case.section, figure))
                span.under { (column.heading) (better) }
            }
            tbody {
                @for row in &case.rows {
                    (bar(row, figure, full, case.best(figure) == Some(row.subject)))
                }
            }
        }
    }
}

/// The row of one subject, where a whole bar stands for `full`.
fn bar(row: &Row<'_>, figure: Figure, full: f64, is_best: bool) -> Markup {
    let (Some(told), Some(spread)) = (row.told(figure), row.spread(figure)) else {
        return Markup::default();
    };
    let class = if row.kind.is_yardstick() {
        "yardstick"
    } else if is_best {
        "first"
    } else {
        "other"
    };
    let percent = |value: f64| format!("{:.2}%", (value / full * FILLED).clamp(0.0, 100.0));
    let is_cut = spread.median > full;
    html! {
        tr class=(class) {
            th scope="row" { (Text(row.subject)) @if !row.calm { " ~" } }
            td {
                svg class={ "bar " (class) } aria-hidden="true" {
                    rect y="3" height="10" width=(percent(spread.median)) {}
                    @if is_cut {
                        (gap())
                    } @else if told.range.is_some() {
                        line x1=(percent(spread.least)) x2=(percent(spread.most)) y1="8" y2="8" {}
                    }
                }
            }
            td.num {
                @if is_best { (best()) }
                b { (told.median) }
                @if told.wide {
                    " " span.fail title="the rounds lie far apart" { "!" }
                }
                @if is_cut {
                    span.under { "bar cut" }
                }
                @if let Some(range) = &told.range {
                    span.under { (range) }
                }
            }
        }
    }
}

/// The value that a whole bar stands for, where the longest bars would be so long.
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

/// The title of `figure` over its bars.
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
