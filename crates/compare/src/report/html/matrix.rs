//! The behaviours of subjects: a matrix whose cells open to tell what was seen, and below it every
//! failure in full.

use std::fmt::Write as _;

use super::super::digest::in_order;
use super::markup::Text;
use crate::model::{Behaviour, Comparison, Passed};

/// The class of a cell, and the mark and word in it, for a verdict.
pub(super) fn spelled(result: Passed) -> (&'static str, &'static str) {
    match result {
        Passed::Yes => ("ok", "✓ ok"),
        Passed::No => ("fail", "✗ FAIL"),
        Passed::NotTried => ("untried", "– not tried"),
    }
}

/// Writes the section, if behaviours were asked for.
pub(super) fn write(page: &mut String, comparison: &Comparison) {
    let behaviours = &comparison.behaviours;
    if behaviours.is_empty() {
        return;
    }
    let subjects = comparison.behaving();
    page.push_str(
        "<section id=\"behaviour\">\n<h2>Behaviour</h2>\n\
         <p class=\"note\">Each verdict opens to tell what was seen.</p>\n\
         <div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Behaviour of each subject\">\n\
         <table class=\"grid matrix\">\n<thead><tr><th scope=\"col\">Behaviour</th>",
    );
    for subject in &subjects {
        let _ = write!(page, "<th scope=\"col\">{}</th>", Text(subject));
    }
    page.push_str("</tr></thead>\n");
    for group in in_order(behaviours.iter().map(|b| b.group.as_str())) {
        let _ = writeln!(
            page,
            "<tbody><tr class=\"group\"><th scope=\"rowgroup\" colspan=\"{}\"><span>{}</span></th></tr>",
            subjects.len() + 1,
            Text(group)
        );
        for behaviour in behaviours.iter().filter(|b| b.group == group) {
            write_row(page, behaviour, &subjects);
        }
        page.push_str("</tbody>\n");
    }
    page.push_str("<tfoot><tr><th scope=\"row\">as expected</th>");
    for subject in &subjects {
        let (passed, tried) = comparison.score(subject);
        let _ = write!(page, "<td>{passed}/{tried}</td>");
    }
    page.push_str("</tr></tfoot>\n</table>\n</div>\n");
    write_failures(page, behaviours);
    page.push_str("</section>\n");
}

fn write_row(page: &mut String, behaviour: &Behaviour, subjects: &[&str]) {
    let _ = write!(
        page,
        "<tr><th scope=\"row\">{}<span class=\"under\">{}</span></th>",
        Text(&behaviour.name),
        Text(&behaviour.expected)
    );
    for subject in subjects {
        match behaviour.verdict(subject) {
            Some(verdict) => {
                let (class, words) = spelled(verdict.result);
                let seen = Text(&verdict.seen);
                let _ = write!(
                    page,
                    "<td class=\"{class}\"><details><summary title=\"{seen}\">{words}</summary>{seen}</details></td>"
                );
            }
            None => page.push_str("<td></td>"),
        }
    }
    page.push_str("</tr>\n");
}

fn write_failures(page: &mut String, behaviours: &[Behaviour]) {
    if behaviours.iter().all(|b| b.failures().next().is_none()) {
        return;
    }
    page.push_str("<h3>What was seen where it failed</h3>\n<dl class=\"failures\">\n");
    for behaviour in behaviours {
        let mut failures = behaviour.failures().peekable();
        if failures.peek().is_none() {
            continue;
        }
        let _ = writeln!(
            page,
            "<dt>{} <span class=\"under\">expected: {}</span></dt>",
            Text(&behaviour.name),
            Text(&behaviour.expected)
        );
        for verdict in failures {
            let _ = writeln!(
                page,
                "<dd><span class=\"fail\">✗</span> <b>{}</b>: {}</dd>",
                Text(&verdict.subject),
                Text(&verdict.seen)
            );
        }
    }
    page.push_str("</dl>\n");
}
