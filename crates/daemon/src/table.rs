//! Tables as kubectl prints them: a heading in capitals, columns by blanks.

use std::fmt;

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
        self.rows.push(cells);
    }
}

impl<const N: usize> fmt::Display for Table<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut widths = [0; N];
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        for row in &self.rows {
            let cells = row.iter().zip(widths);
            let line: String =
                cells.map(|(cell, width)| format!("{cell:<0$}", width + GAP)).collect();
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
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
        assert_eq!(table.to_string(), "TOOL      PATH\nnsenter   /usr/bin/nsenter\na\n");
    }
}
