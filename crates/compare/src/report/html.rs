//! A comparison as one page that needs nothing but itself.
//!
//! Style and plots are inside; there is no script, no font and no picture to fetch, and a content
//! security policy says so to the browser, which would report any that crept in. So the page can be
//! mailed, attached and opened in ten years.
//!
//! It is for everyone: bars are cells of tables, so that their numbers can be read out and copied;
//! what colour tells is told by a word or a shape too; what opens does so by keyboard; the colours
//! follow the reader's choice of light or dark. On paper all numbers of the plots are open; what
//! was seen where a behaviour failed is always in the open.
//!
//! maud escapes every value that is put into it; text from outside also goes through `markup::Text`.

mod bars;
mod changed;
mod costs;
mod curves;
mod markup;
mod matrix;

use maud::{html, Markup, PreEscaped, DOCTYPE};

use markup::{best, scrolled, Text};

use super::digest::{self, Case, DISTURBED};
use super::stats::WIDE;
use crate::model::Comparison;

/// Colours, sizes and the rules for narrow screens, dark rooms and paper.
const STYLE: &str = include_str!("html/page.css");

/// What the browser may load: nothing.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// `comparison` as a page.
pub fn render(comparison: &Comparison) -> String {
    let cases = digest::cases(comparison);
    let (started, version) = (Text(&comparison.started), Text(&comparison.version));
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "nsplice compare, " (started) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { "Ways into a namespace, compared" }
                    p.lead {
                        "nsplice " (version) ", " (started) ", "
                        (format_args!("{:.0} s", comparison.seconds))
                    }
                    (curves::shapes())
                    (contents(comparison, &cases))
                }
                main {
                    (warnings(comparison))
                    (glance(comparison, &cases))
                    @if let Some(change) = &comparison.change {
                        (changed::section(change))
                    }
                    (matrix::section(comparison))
                    (costs::sections(comparison, &cases))
                    (setting(comparison))
                }
            }
        }
    };
    page.into_string()
}

fn contents(comparison: &Comparison, cases: &[Case<'_>]) -> Markup {
    let mut entries: Vec<(String, &str)> = vec![("glance".to_owned(), "At a glance")];
    if comparison.change.is_some() {
        entries.push(("changed".to_owned(), "What changed"));
    }
    if !comparison.behaviours.is_empty() {
        entries.push(("behaviour".to_owned(), "Behaviour"));
    }
    let mut sections: Vec<_> = cases.iter().map(|case| case.section).collect();
    sections.dedup();
    entries.extend(sections.into_iter().map(|section| (costs::anchor(section), section.title())));
    entries.push(("setting".to_owned(), "What was measured, and where"));
    html! {
        nav aria-label="Contents" {
            ul {
                @for (anchor, title) in &entries {
                    li { a href={ "#" (anchor) } { (title) } }
                }
            }
        }
    }
}

fn warnings(comparison: &Comparison) -> Markup {
    html! {
        @if !comparison.warnings.is_empty() {
            aside.warning {
                h2 { "Read the figures with care" }
                ul {
                    @for warning in &comparison.warnings {
                        li { (Text(warning)) }
                    }
                }
            }
        }
    }
}

fn glance(comparison: &Comparison, cases: &[Case<'_>]) -> Markup {
    let headlines = digest::headlines(cases);
    let behaviours = !comparison.behaviours.is_empty();
    let not_left_out = comparison.subjects.iter().filter(|s| s.missing.is_none());
    let table = html! {
        table.grid {
            thead {
                tr {
                    th scope="col" { "Subject" }
                    @if behaviours {
                        th scope="col" { "as expected" }
                    }
                    @for headline in &headlines {
                        th.num scope="col" {
                            (headline.label)
                            span.under { (Text(headline.case.workload)) }
                        }
                    }
                }
            }
            tbody {
                @for (name, kind) in digest::in_order_of_rows(not_left_out) {
                    tr.yardstick[kind.is_yardstick()] {
                        th scope="row" { (Text(name)) }
                        @if behaviours {
                            (score(comparison.score(name)))
                        }
                        @for headline in &headlines {
                            td.num { (standing(headline, name)) }
                        }
                    }
                }
            }
        }
    };
    html! {
        section id="glance" {
            h2 { "At a glance" }
            (scrolled("At a glance", &table))
            @if !headlines.is_empty() {
                p.note {
                    "Medians of the rounds; " span.best { "best" }
                    " is ahead of all others by more than noise (a tenth, and no round in common), in which \
                     the yardsticks direct and floor take no part. Less is better, except for Gbit/s."
                }
            }
        }
    }
}

/// The cell of a subject that has `passed` of `tried` behaviours.
fn score((passed, tried): (usize, usize)) -> Markup {
    html! {
        @if tried == 0 {
            td { "–" }
        } @else if passed == tried {
            td.ok { "✓ " (passed) "/" (tried) }
        } @else {
            td.fail { "✗ " (passed) "/" (tried) }
        }
    }
}

/// The figure of the subject `name` in a headline.
fn standing(headline: &digest::Headline<'_>, name: &str) -> Markup {
    let told = headline.case.row(name).and_then(|row| row.told(headline.figure));
    let is_best = headline.case.best(headline.figure) == Some(name);
    html! {
        @match told {
            Some(told) if is_best => { (best()) b { (told.median) } }
            Some(told) => { (told.median) }
            None => { "–" }
        }
    }
}

fn setting(comparison: &Comparison) -> Markup {
    html! {
        section id="setting" {
            h2 { "What was measured, and where" }
            dl.facts {
                @for (name, value) in super::facts(comparison) {
                    dt { (name) }
                    dd { (Text(&value)) }
                }
            }
            h3 { "Subjects" }
            dl.facts {
                @for subject in &comparison.subjects {
                    dt { (Text(&subject.name)) }
                    dd {
                        @match &subject.missing {
                            Some(why) => { "not measured: " (Text(why)) }
                            None => code { (Text(&subject.command)) }
                        }
                    }
                }
            }
            h3 { "How to read the figures" }
            ul {
                li {
                    "A figure is the median of its rounds, behind which stand the least and the most. Subjects took \
                     turns round by round, so a slow minute of the machine met them all."
                }
                li {
                    "Rounds in which other work used more than " (format_args!("{:.0}", DISTURBED * 100.0))
                    "% of a CPU are left out where a subject has calmer ones; ~ marks a subject that had none."
                }
                li {
                    "! marks a figure whose rounds lie more than " (format_args!("{:.0}", WIDE * 100.0))
                    "% of the median apart."
                }
                li {
                    "CPU and memory are those of the relay with all its children, kernel work of its system calls \
                     included."
                }
                li {
                    "direct is a connect made inside the namespace, without a relay; floor is a bare loop of the same \
                     system calls. They are yardsticks, and never the best."
                }
            }
        }
    }
}
