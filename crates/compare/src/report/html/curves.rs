//! The distribution of latencies: a curve for each subject, share of the operations against time.
//!
//! Time is on a logarithmic axis, as a relay that is ten times slower is as far away as one ten
//! times faster. Shares are on a logit axis, log(s / (1 - s)), which gives the tail and the head as
//! much room as the middle; all (the most that any operation took) has no place on it and is put at
//! its end.
//!
//! Subjects are told apart by colour, dash and the shape at the points. The points are in percent
//! of the width, so the plot stretches while its letters do not; lines, which cannot be in percent,
//! are in an inner picture that is stretched without their width being so. For those who cannot see
//! it there is the same as a table.

// Not the standard library's, which is that of libm.so.6: whatever the program is asked to do, the
// linker would load that first.
use libm::log10;
use maud::{html, Markup};

use super::super::digest::{Case, Row};
use super::markup::{scrolled, Text};
use crate::load::latency::Quantile;
use crate::load::report::Figure;

/// The shapes at the points, which the curves of the whole page use.
pub(super) fn shapes() -> Markup {
    html! {
        svg.shapes width="0" height="0" aria-hidden="true" {
            defs {
                circle id="shape0" r="3.5" {}
                rect id="shape1" x="-3.2" y="-3.2" width="6.4" height="6.4" {}
                path id="shape2" d="M0-4.4 4.2 3.2-4.2 3.2z" {}
                path id="shape3" d="M0-4.6 4.6 0 0 4.6-4.6 0z" {}
                path id="shape4" d="M0 4.4 4.2-3.2-4.2-3.2z" {}
                path id="shape5" d="M-4-1.3h2.7V-4h2.6v2.7H4v2.6H1.3V4h-2.6V1.3H-4z" {}
            }
        }
    }
}

/// The numbers of shapes and of colours.
const SHAPE_COUNT: usize = 6;
const COLOUR_COUNT: usize = 8;

/// Pixels from top to bottom, and how much of that is the plot.
const HEIGHT: f64 = 380.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 352.0;

/// The ends of the axis of shares, as logits: 0.6% and, for all, 99.98%.
const FIRST: f64 = -2.2;
const LAST: f64 = 3.7;

/// Shares that have a line and a label.
const SHARES: [(f64, &str); 7] = [
    (0.01, "1%"),
    (0.1, "10%"),
    (0.5, "50%"),
    (0.9, "90%"),
    (0.99, "99%"),
    (0.999, "99.9%"),
    (1.0, "all"),
];

/// Decades up to which 2 and 5 times a power of ten have lines too.
const FEW_DECADES: f64 = 1.6;

/// The curves of `case`. `subjects` is all of the page, so that each has the same colour everywhere.
pub(super) fn figure(case: &Case<'_>, subjects: &[&str]) -> Markup {
    let rows: Vec<&Row<'_>> = case.rows.iter().filter(|row| !row.latencies.is_empty()).collect();
    let all = || rows.iter().flat_map(|row| &row.latencies).map(|q| q.micros.max(0.1));
    let (low, high) = (all().fold(f64::MAX, f64::min) / 1.2, all().fold(0.0, f64::max) * 1.2);
    let y = |micros: f64| {
        let part = log10(micros.max(0.1) / low) / log10(high / low);
        BOTTOM - part * (BOTTOM - TOP)
    };
    let ticks = ticks(low, high);
    html! {
        figure.curves {
            figcaption {
                "Time of a " (case.section.operation()) " "
                span.under {
                    (Text(case.workload)) "; share of them that took no longer, both axes logarithmic"
                }
            }
            svg.plot height=(HEIGHT) role="img"
                aria-label="Distribution of latency; the table below has its numbers" {
                @for (micros, _) in &ticks {
                    @let y = tenth(y(*micros));
                    line.rule x1="0" x2="100%" y1=(y) y2=(y) {}
                }
                @for (share, label) in SHARES {
                    @let x = percent(x(share));
                    line.rule x1=(x) x2=(x) y1=(TOP) y2=(BOTTOM) {}
                    text.share x=(x) y=(BOTTOM + 18.0) { (label) }
                }
                @for row in &rows {
                    (curve(row, subjects, y))
                }
                // Over the curves, where these are closest to the edge.
                @for (micros, label) in &ticks {
                    text x="2" y=(tenth(y(*micros) - 4.0)) { (label) }
                }
            }
            ul.legend {
                @for row in &rows {
                    @let style = Style::of(row, subjects);
                    li {
                        svg class=(style.class) width="34" height="12" aria-hidden="true" {
                            line x1="0" x2="34" y1="6" y2="6" {}
                            use href=(style.shape()) x="17" y="6" {}
                        }
                        " " (Text(row.subject))
                    }
                }
            }
            (numbers(&rows))
        }
    }
}

/// The look of a subject.
struct Style {
    class: String,
    shape: usize,
}

impl Style {
    fn of(row: &Row<'_>, subjects: &[&str]) -> Self {
        let place = subjects.iter().position(|&name| name == row.subject).unwrap_or(0);
        let kind = if row.kind.is_yardstick() { " yardstick" } else { "" };
        Self {
            class: format!("curve colour{}{kind}", place % COLOUR_COUNT),
            shape: place % SHAPE_COUNT,
        }
    }

    /// The link to its shape.
    fn shape(&self) -> String {
        format!("#shape{}", self.shape)
    }
}

fn curve(row: &Row<'_>, subjects: &[&str], y: impl Fn(f64) -> f64) -> Markup {
    let style = Style::of(row, subjects);
    let points = |scale: f64| {
        let point = |q: &Quantile| (x(q.share) * scale, y(q.micros));
        row.latencies.iter().map(point).collect::<Vec<_>>()
    };
    let line: Vec<String> = points(10.0).iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    html! {
        g class=(style.class) {
            title { (Text(row.subject)) }
            svg viewBox={ "0 0 1000 " (HEIGHT) } preserveAspectRatio="none" width="100%" height=(HEIGHT) {
                polyline points=(line.join(" ")) {}
            }
            @for (x, y) in points(1.0) {
                use href=(style.shape()) x=(percent(x)) y=(tenth(y)) {}
            }
        }
    }
}

fn numbers(rows: &[&Row<'_>]) -> Markup {
    let shares: Vec<f64> =
        rows.first().map_or_else(Vec::new, |row| row.latencies.iter().map(|q| q.share).collect());
    let micros = |row: &Row<'_>, share: f64| {
        let found = row.latencies.iter().find(|q| q.share.total_cmp(&share).is_eq())?;
        Some(Figure::P50Micros.column()?.format(found.micros))
    };
    let table = html! {
        table.grid {
            thead {
                tr {
                    th scope="col" { "Subject" }
                    @for share in &shares {
                        th.num scope="col" {
                            @if *share >= 1.0 { "all" } @else { ((share * 1e4).round() / 100.0) "%" }
                        }
                    }
                }
            }
            tbody {
                @for row in rows {
                    tr {
                        th scope="row" { (Text(row.subject)) }
                        @for share in &shares {
                            td.num { (micros(row, *share).unwrap_or_default()) }
                        }
                    }
                }
            }
        }
    };
    html! {
        details {
            summary { "The same as numbers, in microseconds" }
            (scrolled("Distribution of latency", &table))
        }
    }
}

/// A place in percent of the width.
fn percent(x: f64) -> String {
    format!("{x:.2}%")
}

/// A place in pixels.
fn tenth(y: f64) -> String {
    format!("{y:.1}")
}

/// The place of `share`, in percent of the width.
fn x(share: f64) -> f64 {
    let logit = log10(share / (1.0 - share)).clamp(FIRST, LAST);
    (logit - FIRST) / (LAST - FIRST) * 96.0 + 2.0
}

/// Times between `low` and `high` that have a line, in microseconds, and their labels.
fn ticks(low: f64, high: f64) -> Vec<(f64, String)> {
    let decades = log10(high / low);
    let steps: &[u32] = if decades <= FEW_DECADES { &[1, 2, 5] } else { &[1] };
    let mut ticks = Vec::new();
    for (power, unit, count) in [
        (1e0, "us", 1),
        (1e1, "us", 10),
        (1e2, "us", 100),
        (1e3, "ms", 1),
        (1e4, "ms", 10),
        (1e5, "ms", 100),
        (1e6, "s", 1),
    ] {
        for &step in steps {
            let micros = power * f64::from(step);
            if (low..=high).contains(&micros) {
                ticks.push((micros, format!("{} {unit}", count * step)));
            }
        }
    }
    ticks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_go_from_left_to_right_and_all_has_a_place() {
        let places: Vec<f64> = SHARES.iter().map(|(share, _)| x(*share)).collect();
        assert!(places.windows(2).all(|pair| pair[0] < pair[1]), "{places:?}");
        assert!(places.iter().all(|x| (0.0..=100.0).contains(x)), "{places:?}");
    }

    #[test]
    fn there_are_lines_for_a_wide_range_and_for_a_narrow_one() {
        let labels = |low, high| ticks(low, high).into_iter().map(|t| t.1).collect::<Vec<_>>();
        assert_eq!(labels(30.0, 60_000.0), ["100 us", "1 ms", "10 ms"]);
        assert_eq!(labels(30.0, 450.0), ["50 us", "100 us", "200 us"]);
    }
}
