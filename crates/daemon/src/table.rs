//! Tables as kubectl prints them: a heading in capitals, columns by blanks.
//!
//! On a terminal the last column, which is where sentences stand, goes on below its beginning.

use crate::terminal::broken;

use nsplice_backend::shown;

/// A table of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table<const N: usize> {
    rows: Vec<[String; N]>,
}

/// Blanks between columns.
const GAP: usize = 3;

impl<const N: usize> Table<N> {
    /// A table with headings only.
    pub(crate) fn new(headings: [&str; N]) -> Self {
        Self { rows: vec![headings.map(str::to_owned)] }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: [String; N]) {
        self.rows.push(cells.map(|cell| shown(&cell).into_owned()));
    }
}

impl<const N: usize> Table<N> {
    /// The table for so many columns, or for as many as it takes.
    pub(crate) fn fitted(&self, width: Option<usize>) -> String {
        let mut widths = [0; N];
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let indent = widths.iter().take(N.saturating_sub(1)).map(|width| width + GAP).sum();
        let lines = self.rows.iter().flat_map(|row| {
            let cells = row.iter().zip(widths);
            let line: String =
                cells.map(|(cell, width)| format!("{cell:<0$}", width + GAP)).collect();
            broken(line.trim_end(), indent, width.unwrap_or(usize::MAX))
        });
        lines.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(["TOOL", "PATH"]);
        table.row(["nsenter".to_owned(), "/usr/bin/nsenter".to_owned()]);
        table.row(["a".to_owned(), String::new()]);
        assert_eq!(table.fitted(None), "TOOL      PATH\nnsenter   /usr/bin/nsenter\na\n");
    }

    #[test]
    fn the_last_column_goes_on_below_its_beginning() {
        let mut table = Table::new(["BACKEND", "DETAIL"]);
        let reason = "cannot enter the network namespace of pid/1: Operation not permitted";
        table.row(["setns".to_owned(), reason.to_owned()]);
        assert_eq!(
            table.fitted(Some(40)),
            "BACKEND   DETAIL\n\
             setns     cannot enter the network\n          \
                       namespace of pid/1: Operation\n          not permitted\n"
        );
        assert_eq!(table.fitted(Some(20)).lines().count(), 2, "too little room to break it");
    }
}
