//! The headings of a report.

use std::fmt::Write as _;

use super::grid::Sheet;

/// Writes a heading, apart from what is above it.
pub(super) fn write_heading(text: &mut Sheet, title: &str) {
    let gap = if text.text.is_empty() { "" } else { "\n" };
    let _ = writeln!(text, "{gap}{title}\n{}", "-".repeat(title.chars().count()));
}
