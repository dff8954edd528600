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
//! What comes from outside goes through `markup::Text` and nothing else.

mod bars;
mod changed;
mod costs;
mod curves;
mod markup;
mod matrix;

use std::fmt::Write as _;

use markup::Text;

use super::digest::{self, Case, DISTURBED};
use super::stats::WIDE;
use crate::model::Comparison;

/// Colours, sizes and the rules for narrow screens, dark rooms and paper.
const STYLE: &str = include_str!("html/page.css");

/// `comparison` as a page.
pub fn render(comparison: &Comparison) -> String {
    let cases = digest::cases(comparison);
    let mut page = String::with_capacity(256 * 1024);
    let _ = write!(
        page,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>nsplice compare, {started}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <header>\n<h1>Ways into a namespace, compared</h1>\n\
         <p class=\"lead\">nsplice {version}, {started}, {seconds:.0} s</p>\n",
        started = Text(&comparison.started),
        version = Text(&comparison.version),
        seconds = comparison.seconds
    );
    page.push_str(curves::SHAPES);
    write_contents(&mut page, comparison, &cases);
    page.push_str("</header>\n<main>\n");
    write_warnings(&mut page, comparison);
    write_glance(&mut page, comparison, &cases);
    if let Some(change) = &comparison.change {
        changed::write(&mut page, change);
    }
    matrix::write(&mut page, comparison);
    costs::write(&mut page, comparison, &cases);
    write_setting(&mut page, comparison);
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

fn write_contents(page: &mut String, comparison: &Comparison, cases: &[Case<'_>]) {
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
    page.push_str("<nav aria-label=\"Contents\"><ul>\n");
    for (anchor, title) in entries {
        let _ = writeln!(page, "<li><a href=\"#{anchor}\">{title}</a></li>");
    }
    page.push_str("</ul></nav>\n");
}

fn write_warnings(page: &mut String, comparison: &Comparison) {
    if comparison.warnings.is_empty() {
        return;
    }
    page.push_str("<aside class=\"warning\">\n<h2>Read the figures with care</h2>\n<ul>\n");
    for warning in &comparison.warnings {
        let _ = writeln!(page, "<li>{}</li>", Text(warning));
    }
    page.push_str("</ul>\n</aside>\n");
}

fn write_glance(page: &mut String, comparison: &Comparison, cases: &[Case<'_>]) {
    let headlines = digest::headlines(cases);
    let behaviours = !comparison.behaviours.is_empty();
    page.push_str(
        "<section id=\"glance\">\n<h2>At a glance</h2>\n\
         <div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"At a glance\">\n<table class=\"grid\">\n\
         <thead><tr><th scope=\"col\">Subject</th>",
    );
    if behaviours {
        page.push_str("<th scope=\"col\">as expected</th>");
    }
    for headline in &headlines {
        let _ = write!(
            page,
            "<th scope=\"col\" class=\"num\">{}<span class=\"under\">{}</span></th>",
            headline.label,
            Text(headline.case.workload)
        );
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    let not_left_out = comparison.subjects.iter().filter(|s| s.missing.is_none());
    for (name, kind) in digest::in_order_of_rows(not_left_out) {
        let class = if kind.is_yardstick() { " class=\"yardstick\"" } else { "" };
        let _ = write!(page, "<tr{class}><th scope=\"row\">{}</th>", Text(name));
        if behaviours {
            match comparison.score(name) {
                (_, 0) => page.push_str("<td>–</td>"),
                (passed, tried) => {
                    let mark = if passed == tried { "✓" } else { "✗" };
                    let class = if passed == tried { "ok" } else { "fail" };
                    let _ = write!(page, "<td class=\"{class}\">{mark} {passed}/{tried}</td>");
                }
            }
        }
        for headline in &headlines {
            let told = headline.case.row(name).and_then(|row| row.told(headline.figure));
            let best = headline.case.best(headline.figure) == Some(name);
            match told {
                Some(told) if best => {
                    let _ = write!(page, "<td class=\"num\">{BEST}<b>{}</b></td>", told.median);
                }
                Some(told) => {
                    let _ = write!(page, "<td class=\"num\">{}</td>", told.median);
                }
                None => page.push_str("<td class=\"num\">–</td>"),
            }
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody>\n</table>\n</div>\n");
    if !headlines.is_empty() {
        let _ = writeln!(
            page,
            "<p class=\"note\">Medians of the rounds; <span class=\"best\">best</span> is ahead of all \
             others by more than noise (a tenth, and no round in common), in which the yardsticks direct and floor take no part. Less is better, except for Gbit/s.</p>"
        );
    }
    page.push_str("</section>\n");
}

/// The word at the best of a column.
const BEST: &str = "<span class=\"best\">best</span>";

fn write_setting(page: &mut String, comparison: &Comparison) {
    page.push_str(
        "<section id=\"setting\">\n<h2>What was measured, and where</h2>\n<dl class=\"facts\">\n",
    );
    for (name, value) in super::facts(comparison) {
        let _ = writeln!(page, "<dt>{name}</dt><dd>{}</dd>", Text(&value));
    }
    page.push_str("</dl>\n<h3>Subjects</h3>\n<dl class=\"facts\">\n");
    for subject in &comparison.subjects {
        let _ = write!(page, "<dt>{}</dt><dd>", Text(&subject.name));
        let _ = match &subject.missing {
            Some(why) => writeln!(page, "not measured: {}</dd>", Text(why)),
            None => writeln!(page, "<code>{}</code></dd>", Text(&subject.command)),
        };
    }
    let _ = writeln!(
        page,
        "</dl>\n<h3>How to read the figures</h3>\n<ul>\n\
         <li>A figure is the median of its rounds, behind which stand the least and the most. Subjects took turns \
         round by round, so a slow minute of the machine met them all.</li>\n\
         <li>Rounds in which other work used more than {disturbed:.0}% of a CPU are left out where a subject has \
         calmer ones; ~ marks a subject that had none.</li>\n\
         <li>! marks a figure whose rounds lie more than {wide:.0}% of the median apart.</li>\n\
         <li>CPU and memory are those of the relay with all its children, kernel work of its system calls \
         included.</li>\n\
         <li>direct is a connect made inside the namespace, without a relay; floor is a bare loop of the same system \
         calls. They are yardsticks, and never the best.</li>\n</ul>\n</section>",
        disturbed = DISTURBED * 100.0,
        wide = WIDE * 100.0
    );
}
