//! Changes since an older comparison, on the page: what was found first, everything that
//! was tested on demand.

use maud::{html, Markup};

use super::super::change;
use super::markup::{scrolled, Text};
use super::matrix::spelled;
use crate::model::{Change, FigureChange, Finding};

/// The section.
pub(super) fn section(change: &Change) -> Markup {
    let all: Vec<&FigureChange> = change.figures.iter().collect();
    let found: Vec<&FigureChange> =
        all.iter().filter(|figure| change::is_listed(figure)).copied().collect();
    html! {
        section id="changed" {
            h2 { (Text(&change::title(change, str::to_owned))) }
            @if !change.doubts.is_empty() {
                aside.warning {
                    ul {
                        @for doubt in &change.doubts {
                            li { (Text(doubt)) }
                        }
                    }
                }
            }
            (behaviours(change))
            @for sentence in change::summary(change) {
                p { (Text(&sentence)) }
            }
            @if !found.is_empty() {
                (figures("Figures that differ clearly", &found))
            }
            @if !all.is_empty() {
                details {
                    summary { "Every figure that was tested" }
                    (figures("Every figure that was tested", &all))
                }
            }
        }
    }
}

fn behaviours(change: &Change) -> Markup {
    html! {
        @if !change.behaviours.is_empty() {
            h3 { "Behaviours that changed" }
            dl.failures {
                @for one in &change.behaviours {
                    @let (old_class, old) = spelled(one.old);
                    @let (new_class, new) = spelled(one.new);
                    dt {
                        (Text(&one.name)) " of " (Text(&one.subject)) ": "
                        span class=(old_class) { (old) } " before, "
                        span class=(new_class) { (new) } " now"
                    }
                    dd { (Text(&one.seen)) }
                }
            }
        }
    }
}

fn figures(label: &str, figures: &[&FigureChange]) -> Markup {
    let table = html! {
        table.grid {
            thead {
                tr {
                    th scope="col" { "Subject" }
                    th scope="col" { "Figure" }
                    @for heading in ["old", "new", "change", "p", "rounds"] {
                        th.num scope="col" { (heading) }
                    }
                    th scope="col" { "finding" }
                }
            }
            @for group in figures.chunk_by(|one, next| one.workload == next.workload) {
                @let workload = group.first().map_or("", |one| one.workload.as_str());
                tbody {
                    tr.group {
                        th scope="rowgroup" colspan="8" { span { (Text(workload)) } }
                    }
                    @for one in group {
                        (figure(one))
                    }
                }
            }
        }
    };
    scrolled(label, &table)
}

fn figure(one: &FigureChange) -> Markup {
    let Some(column) = one.figure.column() else { return Markup::default() };
    let (class, mark) = match one.finding {
        Finding::Better => ("ok", "✓ "),
        Finding::Worse => ("fail", "✗ "),
        Finding::Same | Finding::TooFew => ("untried", ""),
    };
    html! {
        tr {
            th scope="row" { (Text(&one.subject)) }
            td { (column.heading) }
            td.num { (column.format(one.old)) }
            td.num { (column.format(one.new)) }
            td.num { (change::percent(one)) }
            td.num { (format_args!("{:.3}", one.p)) }
            td.num { (one.old_rounds) " / " (one.new_rounds) }
            td class=(class) { (mark) (change::word(one.finding)) }
        }
    }
}
