//! The costs of subjects: a section for each kind of workload, with curves, bars, and all figures
//! as numbers.

use std::fmt::Write as _;

use super::super::digest::{self, Case, Section};
use super::markup::Text;
use super::{bars, curves};
use crate::load::report::Figure;
use crate::model::Comparison;

/// The name of a section in links.
pub(super) fn anchor(section: Section) -> String {
    section.title().to_lowercase().replace(' ', "-")
}

/// Writes all sections that have workloads.
pub(super) fn write(page: &mut String, comparison: &Comparison, cases: &[Case<'_>]) {
    let subjects: Vec<&str> = comparison.subjects.iter().map(|s| s.name.as_str()).collect();
    for section in cases.chunk_by(|one, next| one.section == next.section) {
        let Some(first) = section.first() else { continue };
        let _ = writeln!(
            page,
            "<section id=\"{}\">\n<h2>{}</h2>",
            anchor(first.section),
            first.section.title()
        );
        for case in section {
            write_case(page, case, &subjects);
        }
        page.push_str("</section>\n");
    }
}

fn write_case(page: &mut String, case: &Case<'_>, subjects: &[&str]) {
    let _ = writeln!(
        page,
        "<h3>{}</h3>\n<p class=\"note\">CPU and memory counted by: {}</p>",
        Text(case.workload),
        Text(&case.meters.join(", "))
    );
    let curved = matches!(case.section, Section::Opening | Section::Start)
        && case.rows.iter().any(|row| !row.latencies.is_empty());
    if curved {
        curves::write(page, case, subjects);
    }
    page.push_str("<div class=\"cards\">\n");
    for &figure in &case.figures {
        let is_elsewhere = match figure {
            Figure::P50Micros => curved || case.figures.contains(&Figure::AddedMicros),
            Figure::P90Micros | Figure::P99Micros | Figure::MaxMicros => true,
            _ => false,
        };
        if !is_elsewhere {
            bars::write(page, case, figure);
        }
    }
    page.push_str("</div>\n");
    write_numbers(page, case);
}

fn write_numbers(page: &mut String, case: &Case<'_>) {
    let _ = write!(
        page,
        "<details><summary>All figures of {name}</summary>\n\
         <div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"All figures of {name}\">\n\
         <table class=\"grid\">\n<thead><tr><th scope=\"col\">Subject</th>",
        name = Text(case.workload)
    );
    for column in case.figures.iter().filter_map(|figure| figure.column()) {
        let _ = write!(page, "<th scope=\"col\" class=\"num\">{}</th>", column.heading);
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for row in &case.rows {
        let class = if row.kind.is_yardstick() { " class=\"yardstick\"" } else { "" };
        let mark = if row.calm { "" } else { " ~" };
        let _ = write!(page, "<tr{class}><th scope=\"row\">{}{mark}</th>", Text(row.subject));
        for &figure in &case.figures {
            let Some(told) = row.told(figure) else {
                page.push_str("<td class=\"num\">–</td>");
                continue;
            };
            let mark = if told.wide { " !" } else { "" };
            let range = told.range.unwrap_or_default();
            let _ = write!(
                page,
                "<td class=\"num\">{}{mark}<span class=\"under\">{range}</span></td>",
                told.median
            );
        }
        page.push_str("</tr>\n");
    }
    write_ratios(page, case);
    page.push_str("</tbody>\n</table>\n</div>\n</details>\n");
}

fn write_ratios(page: &mut String, case: &Case<'_>) {
    for digest::Ratio { label, quotients, .. } in case.ratios() {
        let _ = write!(page, "<tr class=\"ratio\"><th scope=\"row\">{}</th>", Text(&label));
        for figure in &case.figures {
            let _ = match quotients.get(figure) {
                Some((quotient, name)) => write!(
                    page,
                    "<td class=\"num\">{quotient:.2}<span class=\"under\">{}</span></td>",
                    Text(name.unwrap_or_default())
                ),
                None => write!(page, "<td></td>"),
            };
        }
        page.push_str("</tr>\n");
    }
}
