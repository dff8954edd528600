//! The costs of subjects: a section for each kind of workload, with curves, bars, and all figures
//! as numbers.

use maud::{html, Markup};

use super::super::digest::{self, Case, Section};
use super::markup::{scrolled, Text};
use super::{bars, curves};
use crate::load::report::Figure;
use crate::model::Comparison;

/// The name of a section in links.
pub(super) fn anchor(section: Section) -> String {
    section.title().to_lowercase().replace(' ', "-")
}

/// All sections that have workloads.
pub(super) fn sections(comparison: &Comparison, cases: &[Case<'_>]) -> Markup {
    let subjects: Vec<&str> = comparison.subjects.iter().map(|s| s.name.as_str()).collect();
    html! {
        @for cases in cases.chunk_by(|one, next| one.section == next.section) {
            @if let Some(first) = cases.first() {
                section id=(anchor(first.section)) {
                    h2 { (first.section.title()) }
                    @for case in cases {
                        (workload(case, &subjects))
                    }
                }
            }
        }
    }
}

fn workload(case: &Case<'_>, subjects: &[&str]) -> Markup {
    let curved = matches!(case.section, Section::Opening | Section::Start)
        && case.rows.iter().any(|row| !row.latencies.is_empty());
    let is_elsewhere = |figure: &&Figure| match figure {
        Figure::P50Micros => curved || case.figures.contains(&Figure::AddedMicros),
        Figure::P90Micros | Figure::P99Micros | Figure::MaxMicros => true,
        _ => false,
    };
    html! {
        h3 { (Text(case.workload)) }
        p.note { "CPU and memory counted by: " (Text(&case.meters.join(", "))) }
        @if curved {
            (curves::figure(case, subjects))
        }
        div.cards {
            @for figure in case.figures.iter().filter(|figure| !is_elsewhere(figure)) {
                (bars::table(case, *figure))
            }
        }
        (numbers(case))
    }
}

fn numbers(case: &Case<'_>) -> Markup {
    let table = html! {
        table.grid {
            thead {
                tr {
                    th scope="col" { "Subject" }
                    @for column in case.figures.iter().filter_map(|figure| figure.column()) {
                        th.num scope="col" { (column.heading) }
                    }
                }
            }
            tbody {
                @for row in &case.rows {
                    tr.yardstick[row.kind.is_yardstick()] {
                        th scope="row" { (Text(row.subject)) @if !row.calm { " ~" } }
                        @for figure in &case.figures {
                            td.num {
                                @match row.told(*figure) {
                                    Some(told) => {
                                        (told.median) @if told.wide { " !" }
                                        span.under { (told.range.unwrap_or_default()) }
                                    }
                                    None => { "–" }
                                }
                            }
                        }
                    }
                }
                (ratios(case))
            }
        }
    };
    let label = format!("All figures of {}", case.workload);
    html! {
        details {
            summary { (Text(&label)) }
            (scrolled(Text(&label), &table))
        }
    }
}

fn ratios(case: &Case<'_>) -> Markup {
    html! {
        @for digest::Ratio { label, quotients, .. } in case.ratios() {
            tr.ratio {
                th scope="row" { (Text(&label)) }
                @for figure in &case.figures {
                    @match quotients.get(figure) {
                        Some((quotient, name)) => td.num {
                            (format_args!("{quotient:.2}"))
                            span.under { (Text(name.unwrap_or_default())) }
                        }
                        None => td {}
                    }
                }
            }
        }
    }
}
