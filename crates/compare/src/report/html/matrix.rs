//! The behaviours of subjects: a matrix whose cells open to tell what was seen, and below it every
//! failure in full.

use maud::{html, Markup};

use super::super::digest::in_order;
use super::markup::{scrolled, Text};
use crate::model::{Behaviour, Comparison, Passed};

/// The class of a cell, and the mark and word in it, for a verdict.
pub(super) fn spelled(result: Passed) -> (&'static str, &'static str) {
    match result {
        Passed::Yes => ("ok", "✓ ok"),
        Passed::No => ("fail", "✗ FAIL"),
        Passed::NotTried => ("untried", "– not tried"),
    }
}

/// The section, if behaviours were asked for.
pub(super) fn section(comparison: &Comparison) -> Markup {
    let behaviours = &comparison.behaviours;
    if behaviours.is_empty() {
        return Markup::default();
    }
    let subjects = comparison.behaving();
    let table = html! {
        table.grid.matrix {
            thead {
                tr {
                    th scope="col" { "Behaviour" }
                    @for subject in &subjects {
                        th scope="col" { (Text(subject)) }
                    }
                }
            }
            @for group in in_order(behaviours.iter().map(|b| b.group.as_str())) {
                tbody {
                    tr.group {
                        th scope="rowgroup" colspan=(subjects.len() + 1) { span { (Text(group)) } }
                    }
                    @for behaviour in behaviours.iter().filter(|b| b.group == group) {
                        (row(behaviour, &subjects))
                    }
                }
            }
            tfoot {
                tr {
                    th scope="row" { "as expected" }
                    @for subject in &subjects {
                        @let (passed, tried) = comparison.score(subject);
                        td { (passed) "/" (tried) }
                    }
                }
            }
        }
    };
    html! {
        section id="behaviour" {
            h2 { "Behaviour" }
            p.note { "Each verdict opens to tell what was seen." }
            (scrolled("Behaviour of each subject", &table))
            (failures(behaviours))
        }
    }
}

fn row(behaviour: &Behaviour, subjects: &[&str]) -> Markup {
    html! {
        tr {
            th scope="row" {
                (Text(&behaviour.name))
                span.under { (Text(&behaviour.expected)) }
            }
            @for subject in subjects {
                @match behaviour.verdict(subject) {
                    Some(verdict) => {
                        @let (class, words) = spelled(verdict.result);
                        @let seen = Text(&verdict.seen);
                        td class=(class) {
                            details { summary title=(seen) { (words) } (seen) }
                        }
                    }
                    None => td {}
                }
            }
        }
    }
}

fn failures(behaviours: &[Behaviour]) -> Markup {
    let failed = |behaviour: &&Behaviour| behaviour.failures().next().is_some();
    html! {
        @if behaviours.iter().any(|behaviour| failed(&behaviour)) {
            h3 { "What was seen where it failed" }
            dl.failures {
                @for behaviour in behaviours.iter().filter(failed) {
                    dt {
                        (Text(&behaviour.name))
                        " " span.under { "expected: " (Text(&behaviour.expected)) }
                    }
                    @for verdict in behaviour.failures() {
                        dd {
                            span.fail { "✗" } " " b { (Text(&verdict.subject)) } ": " (Text(&verdict.seen))
                            @if let Some(why) = &verdict.known {
                                span.under { "known: " (Text(why)) }
                            }
                        }
                    }
                }
            }
        }
    }
}
