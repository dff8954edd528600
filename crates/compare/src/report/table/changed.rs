//! Changes since an older comparison, as text.

use std::fmt::Write as _;

use super::super::change;
use super::super::digest::in_order;
use super::behaviour::word;
use super::grid::{plain, wrap, Cell, Grid, Sheet};
use super::heading::write_heading;
use crate::model::{Change, FigureChange};

/// Writes it. Of the figures, those that differ clearly are listed; the others are only counted.
pub(super) fn write(text: &mut Sheet, change: &Change) {
    write_heading(text, &change::title(change, plain));
    for doubt in &change.doubts {
        wrap(text, "  - ", doubt);
    }
    for one in &change.behaviours {
        let first = format!("  {} of {}: ", plain(&one.name), plain(&one.subject));
        let words = format!("{} before, {} now: {}", word(one.old), word(one.new), one.seen);
        wrap(text, &first, &words);
    }
    let found: Vec<&FigureChange> =
        change.figures.iter().filter(|f| change::is_listed(f)).collect();
    for workload in in_order(found.iter().map(|f| f.workload.as_str())) {
        let _ = writeln!(text, "{}", plain(workload));
        let mut grid = Grid::new(["old", "new", "change", "p"].map(str::to_owned));
        for one in found.iter().filter(|f| f.workload == workload) {
            let Some(column) = one.figure.column() else { continue };
            let name = format!("{}, {}", one.subject, column.heading);
            grid.row(
                &name,
                [
                    Cell::new(column.format(one.old), ""),
                    Cell::new(column.format(one.new), ""),
                    Cell::new(change::percent(one), change::word(one.finding)),
                    Cell::new(format!("{:.3}", one.p), ""),
                ],
            );
        }
        grid.write(text);
    }
    for sentence in change::summary(change) {
        wrap(text, "", &sentence);
    }
}
