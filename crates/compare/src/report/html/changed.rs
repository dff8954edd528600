//! Changes since an older comparison, on the page: what was found first, everything that
//! was tested on demand.

use std::fmt::Write as _;

use super::super::change;
use super::markup::Text;
use super::matrix::spelled;
use crate::model::{Change, FigureChange, Finding};

/// Writes the section.
pub(super) fn write(page: &mut String, change: &Change) {
    let title = change::title(change, |text| Text(text).to_string());
    let _ = writeln!(page, "<section id=\"changed\">\n<h2>{title}</h2>");
    if !change.doubts.is_empty() {
        page.push_str("<aside class=\"warning\">\n<ul>\n");
        for doubt in &change.doubts {
            let _ = writeln!(page, "<li>{}</li>", Text(doubt));
        }
        page.push_str("</ul>\n</aside>\n");
    }
    write_behaviours(page, change);
    for sentence in change::summary(change) {
        let _ = writeln!(page, "<p>{}</p>", Text(&sentence));
    }
    let found: Vec<&FigureChange> =
        change.figures.iter().filter(|f| change::is_listed(f)).collect();
    if !found.is_empty() {
        write_figures(page, "Figures that differ clearly", &found);
    }
    let all: Vec<&FigureChange> = change.figures.iter().collect();
    if !all.is_empty() {
        page.push_str("<details><summary>Every figure that was tested</summary>\n");
        write_figures(page, "Every figure that was tested", &all);
        page.push_str("</details>\n");
    }
    page.push_str("</section>\n");
}

fn write_behaviours(page: &mut String, change: &Change) {
    if change.behaviours.is_empty() {
        return;
    }
    page.push_str("<h3>Behaviours that changed</h3>\n<dl class=\"failures\">\n");
    for one in &change.behaviours {
        let ((old_class, old), (new_class, new)) = (spelled(one.old), spelled(one.new));
        let _ = writeln!(
            page,
            "<dt>{} of {}: <span class=\"{old_class}\">{old}</span> before, <span class=\"{new_class}\">{new}</span> \
             now</dt><dd>{}</dd>",
            Text(&one.name),
            Text(&one.subject),
            Text(&one.seen)
        );
    }
    page.push_str("</dl>\n");
}

fn write_figures(page: &mut String, label: &str, figures: &[&FigureChange]) {
    let _ = write!(
        page,
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{label}\">\n<table class=\"grid\">\n\
         <thead><tr><th scope=\"col\">Subject</th><th scope=\"col\">Figure</th>"
    );
    for heading in ["old", "new", "change", "p", "rounds"] {
        let _ = write!(page, "<th scope=\"col\" class=\"num\">{heading}</th>");
    }
    page.push_str("<th scope=\"col\">finding</th></tr></thead>\n");
    for group in figures.chunk_by(|one, next| one.workload == next.workload) {
        let workload = group.first().map_or("", |one| one.workload.as_str());
        let _ = writeln!(
            page,
            "<tbody><tr class=\"group\"><th scope=\"rowgroup\" colspan=\"8\"><span>{}</span></th></tr>",
            Text(workload)
        );
        for one in group {
            write_figure(page, one);
        }
        page.push_str("</tbody>\n");
    }
    page.push_str("</table>\n</div>\n");
}

fn write_figure(page: &mut String, one: &FigureChange) {
    let Some(column) = one.figure.column() else { return };
    let (class, mark) = match one.finding {
        Finding::Better => ("ok", "✓ "),
        Finding::Worse => ("fail", "✗ "),
        Finding::Same | Finding::TooFew => ("untried", ""),
    };
    let _ = writeln!(
        page,
        "<tr><th scope=\"row\">{}</th><td>{}</td><td class=\"num\">{}</td><td class=\"num\">{}</td>\
         <td class=\"num\">{}</td><td class=\"num\">{:.3}</td><td class=\"num\">{} / {}</td>\
         <td class=\"{class}\">{mark}{}</td></tr>",
        Text(&one.subject),
        column.heading,
        column.format(one.old),
        column.format(one.new),
        change::percent(one),
        one.p,
        one.old_rounds,
        one.new_rounds,
        change::word(one.finding)
    );
}
